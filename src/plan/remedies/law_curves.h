#pragma once

// One law at one point of its parameters, along single coordinates, and its roots. Private to the
// folder.

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "fit/law.h"

namespace ration::plan {

// Bisects between `low` and `high` for where `above` turns from true to false.
template <class Above>
double last_above(double low, double high, const Above& above) {
  constexpr int kSteps = 64;  // halves 120 to the last bit
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (low + high) / 2;
    (above(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

class LawCurves {
 public:
  // `law` must outlive the curves.
  LawCurves(const fit::Law& law, std::span<const double> x);

  // L at ln N, ln D and ln U, which is capped by D.
  double loss(double log_n, double log_d, double log_u);
  // L if nothing were repeated, neither tokens nor parameters.
  double plain_loss(double log_n, double log_d);
  // dL/d ln U, one-sided at U = D.
  double slope(double log_n, double log_d, double log_u);

  // ln U of a loss at D tokens; nothing where even fresh ones do not give it.
  std::optional<double> log_unique(double log_n, double log_d, double loss);
  // ln of the parameters that, none repeated, are worth N of a model whose D tokens are all fresh.
  double log_effective_params(double log_n, double log_d);
  // ln of the fresh tokens that give a loss at parameters of which none is repeated.
  std::optional<double> log_fresh(double log_effective_n, double loss);
  // ln of the fewest tokens from U unique ones that give a loss.
  std::optional<double> log_tokens(double log_n, double log_u, double loss);

 private:
  double evaluate(std::span<const double> x, double log_n, double log_d, double log_u);

  const fit::Law& law_;
  fit::Coordinates x_;
  fit::Coordinates plain_;  // no decay of parameters
  fit::Points point_;
};

}  // namespace ration::plan
