#pragma once

// Losses along the line theta_a + alpha (theta_b - theta_a).

#include <span>
#include <vector>

namespace ration::region {

// 0, 0.1, … 1, and beyond both ends 1 + 2^j/8 and -2^j/8, j = 0 … 7; ascending, 27 numbers.
std::vector<double> line_alphas();

struct Profile {
  double barrier = 0;  // max over 0 <= alpha <= 1 of L(alpha) - ((1 - alpha) L(0) + alpha L(1))
  double barrier_at = 0;
  double lowest = 0;  // min over all alpha
  double lowest_at = 0;
};

// `alphas` ascending, with 0 and 1 among them; losses beside them. NaN losses count as infinite.
// The barrier and its place are NaN where an end has no finite loss, and where no alpha lies
// between the ends; of equal places the lowest alpha is told.
Profile profile(std::span<const double> alphas, std::span<const double> losses);

}  // namespace ration::region
