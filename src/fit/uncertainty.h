#pragma once

// Uncertainty of a minimum beside the bootstrap: standard errors from the curvature, and profiles.
// Both are cheap and rest on more assumptions; docs/fitting.md says which.

#include <span>
#include <vector>

#include "fit/solver.h"

namespace ration::fit {

// Of the coordinates (logarithms for scales), so that 0.1 on a scale is ten per cent. 0 for
// coordinates that are held or lie on a bound; infinite where the rows do not determine them.
struct StandardErrors {
  // H^-1 (sum psi_i^2 g_i g_i') H^-1 with psi the slope of the objective, g the law's gradient, and
  // H its expected curvature; for a knee far below the residuals that is 2 delta f(0) sum g_i g_i'
  // with a kernel estimate of the density f of the residuals at 0, as in median regression.
  std::vector<double> sandwich;
  // s^2 (J'J)^-1 with s^2 the mean square residual of n - p degrees of freedom: right for normal
  // noise and least squares.
  std::vector<double> least_squares;
};
StandardErrors standard_errors(const Problem& problem,
                               const Coordinates& x,
                               const std::vector<std::size_t>& cell_of);

// The share of rows inside the knee: 1 for least squares, near 0 for absolute deviations.
double share_inside_knee(const Problem& problem, const Coordinates& x);

// The normal quantile z with P(|Z| <= z) = probability, 0 < probability < 1.
double two_sided_quantile(double probability);

// The lowest objective for each of `values` of coordinate j, all others free. Starts from `minima`
// and from the neighbours' solutions. `values` ascend.
std::vector<double> profile(const Problem& problem,
                            const std::vector<Minimum>& minima,
                            std::size_t j,
                            std::span<const double> values);

}  // namespace ration::fit
