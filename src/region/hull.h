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
  double distance = 0;          // |tau - sum w_i tau_i|; never more than to the nearest member
  double relative = 0;          // by |tau|; NaN for tau = 0
  double gap = 0;               // the hull's distance is no less than `distance` less this
};

// Squared distances between n members, and of each from tau.
struct Squares {
  std::span<const double> between;  // [n, n]
  std::span<const double> to;       // [n]
};

// The hull's point nearest to tau by the method of Wolfe (Finding the nearest point in a polytope,
// Mathematical Programming 11, 1976), which begins with the nearest member and takes others as they
// bring it nearer. `square` is tau . tau. Where rounding stops it early, the best point found, with
// its gap: squares that differ from those of vectors by 1e-16 leave a point within the hull a
// distance of about 1e-8 of the members'. ErrorKind::input for numbers that are not finite. Work:
// O(n^2) a member that joins or leaves.
Result<Nearest> nearest_in_hull(const Squares& squares, double square);

// The same by scalar products: `products` [n, n] of the members, `with` [n] of tau with each. Where
// members are nearly alike, products hold less than distances do.
Result<Nearest> nearest_in_hull(std::span<const double> products,
                                std::span<const double> with,
                                double square);

}  // namespace ration::region
