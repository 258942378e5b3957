#pragma once

// Points of the convex hull of models, and how far another model lies from it.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace ration::region {

// Weights uniform on the simplex: e / sum e with e_i ~ Exp(1). Sample `number` depends on nothing
// else. n weights of 0 or more whose sum is 1.
std::vector<double> hull_weights(std::size_t n, std::uint64_t seed, std::uint64_t number);

// Barycentric grid of three models with `steps` steps a side: (steps + 1)(steps + 2)/2 points, 66
// for 10.
std::vector<std::vector<double>> triangle_weights(std::size_t steps);

struct Nearest {
  std::vector<double> weights;  // of the members, on the simplex
  double distance = 0;          // |tau - sum w_i tau_i|
  double relative = 0;          // by |tau|; NaN for tau = 0
};

// The hull's point nearest to tau: an active-set solution, checked by its optimality conditions
// (ErrorKind::internal where it is none). Rounding of the products leaves a point within the hull a
// relative distance of about 1e-7. Work is O(n^3) a step of the method, of which few are needed.
// `products` [n, n] of the members, `with` [n] of tau with each, `square` = tau . tau.
Result<Nearest> nearest_in_hull(std::span<const double> products,
                                std::span<const double> with,
                                double square);

}  // namespace ration::region
