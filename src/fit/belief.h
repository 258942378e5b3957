#pragma once

// What is known of the loss from few runs, and how surely: the view under which runs are chosen and
// their outcomes are judged. Two things are added to a law, because a fit of few runs without them
// explodes away from its runs, and a design that takes the law for true learns about the wrong
// place:
//
//   ln L(x) = ln Lhat(x; theta) + misfit(x) + noise
//
// theta is normal about constants published for other runs (Law::typical), widely. The misfit is
// what the law gets wrong: unknown, but alike where settings are alike,
//   cov(misfit(x), misfit(y)) = size^2 exp(-(|d ln C| + |d ln epochs| + |d ln N/U|) / reach),
// which is a random walk that drifts by size sqrt(2 / reach) over a factor of e. Runs near the
// question thus correct the law there, and far ones do little more than shape it. theta is the most
// probable one; the noise of single runs is found by the evidence.
//
//   std::vector<Belief> beliefs = believe({{law, law->typical()}}, points, log_loss, weights, {});
//   std::vector<double> log_losses = beliefs.front().predict(asked);
//
// Cost: 30 runs take 1 ms, 200 runs 40 ms for each law.

#include <span>
#include <vector>

#include "base/result.h"
#include "fit/law.h"

namespace ration::fit {

// Where a law may be, before it is weighed against runs.
struct Mode {
  const Law* law = nullptr;
  Coordinates x;
  double weight = 1;  // in proportion to its credence, above 0
};

struct Misfit {
  // Standard deviation of ln L by which the law is off at any one place, 0 (the law is true) to 1.
  // 0.2 with a reach of 6 lets it drift by 12 % over a factor of e. Too much costs little where the
  // law is true, too little misleads where it is not: from 0.2 to 0.4 and a reach of 4 to 8,
  // choices on published runs turn out alike (docs/planning.md).
  double size = 0.2;
  // Distance in ln C + ln epochs + ln N/U over which it falls to 1/e of itself, above 0.
  double reach = 6;
};

std::vector<Error> check(const Misfit& misfit);

// The prior of a law's coordinates: normal about Law::typical() with this precision (p x p, by
// columns). Where a law has terms A N^-alpha and B D^-beta, these are what is known, to a factor of
// e at 1e9 parameters and 2e10 tokens, and the exponents to 0.1: scale and exponent are then
// correlated as they are in fits. Floors are known to a factor of 1.6, decay constants to one of
// 4.5, penalties to one of 20.
std::vector<double> prior_precision(const Law& law);

struct Belief {
  const Law* law = nullptr;
  Coordinates x;     // the most probable
  double noise = 0;  // standard deviation of ln L of a run of weight 1, above 0
  Misfit misfit;
  double weight = 1;                  // in proportion to its credence, above 0
  double log_evidence = 0;            // of the runs, linearised at x
  Points runs;                        // that are known
  std::vector<double> run_weights;    // one of weight w has the noise noise / sqrt(w)
  std::vector<double> pulls;          // what each run's residual does: the misfit's weights
  std::vector<double> decision = {};  // d ln N_opt / d theta; needed by Gain::decision alone

  std::vector<double> predict(const Points& points) const;  // ln L
};

// One belief for each place where the runs leave a law, the most credible first. Modes of one law
// are starts; where they end in different places, these share the weight of the law's first mode by
// their evidence, and those below a thousandth are left out. Runs may be none. Needs one mode or
// more; weights above 0, one a run.
std::vector<Belief> believe(const std::vector<Mode>& modes,
                            const Points& runs,
                            std::span<const double> log_loss,
                            std::span<const double> run_weights,
                            const Misfit& misfit);

// How far settings are from each other: |d ln C| + |d ln epochs| + |d ln N/U|.
double distance(const Points& a, std::size_t i, const Points& b, std::size_t j);

}  // namespace ration::fit
