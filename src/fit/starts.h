#pragma once

// Where to descend from. Given the exponents, L = E + A N^-alpha + B D^-beta is linear in E, A and
// B, so a grid over two exponents with a linear solve at each node covers what a grid over five
// coordinates would, with far fewer and far better starts.

#include <span>
#include <vector>

#include "fit/law.h"

namespace ration::fit {

struct TermStart {
  BaseTerms terms;
  double squared_error = 0;  // sum of (predicted/observed - 1)^2

  Coordinates coordinates(bool tied) const;  // a, b, e, alpha[, beta]
};

// One start for each node of the exponent grid, the best first. Points are ln N and ln D, any
// number from 1.
std::vector<TermStart> exponent_starts(std::span<const double> log_params,
                                       std::span<const double> log_tokens,
                                       std::span<const double> log_loss,
                                       bool tied);

}  // namespace ration::fit
