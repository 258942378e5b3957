#pragma once

// Losses along the line theta_a + alpha (theta_b - theta_a).

#include <span>
#include <vector>

#include "region/intervals.h"

namespace ration::region {

// 0, 0.1, … 1, and beyond both ends 1 + 2^j/8 and -2^j/8, j = 0 … 7; ascending, 27 numbers.
std::vector<double> line_alphas();

struct Profile {
  double barrier = 0;  // max over 0 <= alpha <= 1 of L(alpha) - ((1 - alpha) L(0) + alpha L(1))
  double barrier_at = 0;
  double lowest = 0;  // min over all alpha
  double lowest_at = 0;
  double below_ends = 0;  // by how much the lowest is below the better end, at least 0
};

// `alphas` ascending, with 0 and 1 among them; losses beside them. NaN losses count as infinite.
// The barrier and its place are NaN where an end has no finite loss, and where no alpha lies
// between the ends; of equal places the lowest alpha is told.
Profile profile(std::span<const double> alphas, std::span<const double> losses);

struct LineIntervals {
  std::vector<double> alphas;       // those between the ends
  std::vector<double> excess;       // L(alpha) - ((1 - alpha) L(0) + alpha L(1)) at these
  std::vector<Interval> excess_in;  // which hold at all these alphas at once
  Interval barrier;                 // of Profile::barrier
  Interval below_ends;              // of Profile::below_ends
};

// `windows` [alpha, window]: the losses of each window. A largest number of several is most likely
// too large, and resampling would repeat that; so both intervals come from ones that hold at all
// alphas at once: the largest of their lower ends and the largest of their upper ends. Without an
// interval: what an end's infinite losses leave without a value, a barrier that is infinite, fewer
// than four windows.
LineIntervals line_intervals(std::span<const double> alphas,
                             const OfWindows& windows,
                             const Resampling& how = {});

}  // namespace ration::region
