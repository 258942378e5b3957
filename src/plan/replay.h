#pragma once

// Would the choice of runs have paid? Spends a share of what a table of finished runs cost, as if
// none were known, and scores what is then believed of the most expensive runs, which no strategy
// may buy. All strategies are judged by the same beliefs (fit/belief.h): only the choice differs.

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fit/design.h"

namespace ration::plan {

enum class Strategy {
  design,    // prediction gain per cost^gamma, planned anew as results arrive
  random,    // runs in random order while they are affordable
  cheapest,  // cheapest first
  grid,      // every k-th run by cost, so that they span the range
  all        // every run that may be bought, whatever it costs
};
std::string_view name(Strategy strategy);

struct ReplayOptions {
  // Laws that are believed alike; their predictions are averaged.
  std::vector<std::string> laws = {"data-constrained"};
  fit::Misfit misfit;                // of every strategy's belief
  std::optional<double> gamma = {};  // of cost, as in fit::Choosing
  double budget = 0.1;  // share of the cost of all runs that may be bought, above 0, at most 1
  double target = 0.1;  // share of the runs, the most expensive, that are held out and scored
  // Times that every strategy is tried, 1 to 1000. The first is offered all runs, each other a
  // share of them, drawn by chance: a choice that is good for one lucky run only shows.
  int repeats = 20;
  double offered = 0.8;  // that share, above 0, at most 1
  std::uint64_t seed = 0;
  int threads = 0;  // 0 = all cores; changes no number
};

struct Score {
  Strategy strategy = Strategy::design;
  double everything = 0;     // R^2 where all runs were offered
  double r_squared = 0;      // 1 - sum (Lhat - L)^2 / sum (L - mean L)^2 on the target; the median
  double low = 0, high = 0;  // least and most over the repeats
  double mean_error = 0;     // |ln Lhat - ln L|, the median over the repeats
  int runs = 0;              // bought, the median
  double spent = 0;          // share of the cost, the median
};

// Errors: wrong options (ErrorKind::usage); fewer than 20 runs; losses of the target that are all
// equal (ErrorKind::input).
Result<std::vector<Score>> replay(std::span<const fit::Observation> runs,
                                  const ReplayOptions& options);

}  // namespace ration::plan
