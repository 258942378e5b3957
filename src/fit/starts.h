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

// The scales c >= 0 of a sum of given columns that comes nearest to a target in relative squared
// error. Columns and target by their logarithms, one number a point; -infinity stands for 0. One to
// four columns. A column that the best solution leaves out starts small rather than absent.
struct LinearStart {
  std::vector<double> log_scales;
  double squared_error = 0;  // sum of (predicted/observed - 1)^2
};
LinearStart linear_start(std::span<const std::vector<double>> log_columns,
                         std::span<const double> log_target);

}  // namespace ration::fit
