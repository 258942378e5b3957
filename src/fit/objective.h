#pragma once

// What a fit minimises: the weighted sum over runs of the Huber loss of r_i = ln Lhat_i - ln L_i,
//   h(r) = r^2/2 for |r| <= delta, else delta (|r| - delta/2)
// ("Training Compute-Optimal Large Language Models", 2022, with delta = 1e-3).

#include <cmath>
#include <span>
#include <vector>

#include "fit/law.h"

namespace ration::fit {

inline double huber(double residual, double delta) {
  const double size = std::abs(residual);
  return size <= delta ? residual * residual / 2 : delta * (size - delta / 2);
}

// dh/dr: the residual, cut off at delta.
inline double huber_slope(double residual, double delta) {
  return std::fmax(-delta, std::fmin(delta, residual));
}

// A fit as numbers. Refers to its parts, which must outlive it.
struct Problem {
  const Law& law;
  const Points& points;
  std::span<const double> log_loss;  // observed ln L, one a point
  std::span<const double> weights;   // one a point, at least 0; a weight of 2 equals the run twice
  double delta = 1e-3;               // in units of ln L, above 0
  std::vector<double> lower, upper;  // of each coordinate; equal where a coordinate is held fixed
  double asymmetry = 1;  // weight of rows whose loss is predicted too high, against too low

  std::size_t rows() const { return points.size(); }
  // What the rows count together: the number of runs, where checkpoints of one share its weight.
  double total_weight() const;
  // Row i's weight where its residual has the sign of r.
  double weight(std::size_t i, double r) const {
    return r > 0 ? asymmetry * weights[i] : weights[i];
  }
  double loss(std::size_t i, double r) const { return weight(i, r) * huber(r, delta); }
};

// The problem with the law's own bounds.
Problem make_problem(const Law& law,
                     const Points& points,
                     std::span<const double> log_loss,
                     std::span<const double> weights,
                     double delta);

// The objective at x, infinite where the law has no finite value.
double objective(const Problem& problem, std::span<const double> x);

// Residuals ln Lhat - ln L at x.
std::vector<double> residuals(const Problem& problem, std::span<const double> x);

}  // namespace ration::fit
