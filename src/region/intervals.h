#pragma once

// How sure losses on held-out text are. Windows of the text are resampled, the same ones for all
// points, so that what makes a window hard at every point cancels in differences. Intervals are
// about other text of the same kind, read by these very models; they say nothing of other models.
// Windows count as independent: where neighbours are alike, the truth is less sure.
//
// Same input, same seed: same numbers, whatever the threads.

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace ration::region {

// NaN at both ends where there is none.
struct Interval {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();

  bool known() const { return !std::isnan(low); }
};

struct Resampling {
  std::int64_t draws = 2000;  // 100 to 1e6; ends of a 95 % interval then rest on 50 draws each
  double level = 0.95;        // above 0, below 1
  std::uint64_t seed = 0;
  int threads = 0;  // 0 = as many as cores
};

// [series, window]: a number of each window, as many of each series.
using OfWindows = std::vector<std::vector<double>>;

// Intervals that hold the means of all series at once, as often as `level` says: mean +- c se, c
// the quantile of the largest |t| of any series, each draw's t with its own se (bootstrap-t, and
// its maximum as in Romano and Wolf, Econometrica 73, 2005). Series that do not vary have an
// interval of no width; none has any where a number is not finite, or where windows are too few:
// below four, a draw often takes one window alone and has no se.
std::vector<Interval> simultaneous_intervals(const OfWindows& series, const Resampling& how = {});

// The percentile interval of `statistic`, which gets the mean of each series and is called on
// several threads at once. For statistics that are bounded, such as shares; infinite losses are
// allowed. None below four windows.
Interval percentile_interval(const OfWindows& series,
                             const std::function<double(std::span<const double> means)>& statistic,
                             const Resampling& how = {});

}  // namespace ration::region
