#pragma once

// Would the choice of runs have paid? Spends a share of what a table of finished runs cost, as if
// none were known, and scores the law fitted to what was bought on the most expensive runs, which
// no strategy may buy.

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fit/design.h"

namespace ration::plan {

enum class Strategy {
  design,    // prediction gain and disagreement per FLOP, refitted as results arrive
  random,    // runs in random order while they are affordable
  cheapest,  // cheapest first
  grid,      // every k-th run by cost, so that they span the range
  all        // every run that may be bought, whatever it costs
};
std::string_view name(Strategy strategy);

struct ReplayOptions {
  std::string law = "data-constrained";
  double delta = 1e-3;  // as in fit::Options
  double focus = 2;     // of every strategy's fit on what lies near the target (fit::relevance)
  std::optional<double> gamma = {};  // of cost, as in fit::Choosing
  double budget = 0.1;  // share of the cost of all runs that may be bought, above 0, at most 1
  double target = 0.1;  // share of the runs, the most expensive, that are held out and scored
  int repeats = 20;     // of strategies with chance in them, 1 to 1000; the order of ties too
  std::uint64_t seed = 0;
  int threads = 0;  // 0 = all cores; changes no number
};

struct Score {
  Strategy strategy = Strategy::design;
  double r_squared = 0;      // 1 - sum (Lhat - L)^2 / sum (L - mean L)^2 on the target; the median
  double low = 0, high = 0;  // least and most over the repeats
  double mean_error = 0;     // |ln Lhat - ln L|, the median over the repeats
  int runs = 0;              // bought, the median
  double spent = 0;          // share of the cost, the median
};

// Errors: check_replay; fewer than 20 runs; losses of the target that are all equal
// (ErrorKind::input).
Result<std::vector<Score>> replay(std::span<const fit::Observation> runs,
                                  const ReplayOptions& options);

}  // namespace ration::plan
