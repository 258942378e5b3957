#include "region/intervals.h"

#include <algorithm>
#include <numeric>

#include "base/parallel.h"
#include "base/random.h"

namespace ration::region {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kConstant = 1e-12;  // of the mean: less deviation is rounding
constexpr std::size_t kFewest = 4;   // windows

// How often each window is drawn.
std::vector<double> counts_of(std::size_t windows, const Resampling& how, std::size_t draw) {
  Stream stream(how.seed, StreamId::resampling, draw);
  std::vector<double> counts(windows);
  for (std::size_t i = 0; i < windows; ++i) counts[stream.below(windows)] += 1;
  return counts;
}

// result[draw] = of_draw(counts).
template <class OfDraw>
std::vector<double> draws_of(std::size_t windows, const Resampling& how, const OfDraw& of_draw) {
  std::vector<double> results(static_cast<std::size_t>(how.draws));
  parallel_for(results.size(), how.threads, [&](std::size_t draw) {
    results[draw] = of_draw(counts_of(windows, how, draw));
  });
  return results;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

struct Centred {
  double mean = 0;
  double error = 0;  // standard error of the mean; 0 where the values do not vary
  std::vector<double> deviations;
};

Centred centred(std::span<const double> values) {
  Centred result{.mean = mean_of(values), .error = 0, .deviations = {}};
  double squares = 0;
  for (const double value : values) {
    result.deviations.push_back(value - result.mean);
    squares += result.deviations.back() * result.deviations.back();
  }
  const double n = static_cast<double>(values.size());
  result.error = std::sqrt(squares / n / n);
  if (result.error * std::sqrt(n) <= kConstant * std::abs(result.mean)) result.error = 0;
  return result;
}

// |mean of the draw - mean| / the draw's own standard error.
double t_of(const Centred& series, std::span<const double> counts) {
  double sum = 0, squares = 0;
  for (std::size_t w = 0; w < counts.size(); ++w) {
    sum += counts[w] * series.deviations[w];
    squares += counts[w] * series.deviations[w] * series.deviations[w];
  }
  const double n = static_cast<double>(counts.size());
  const double shift = sum / n;
  const double error = std::sqrt(std::max(0.0, squares / n - shift * shift) / n);
  return error > kConstant * series.error ? std::abs(shift) / error : kInfinity;
}

// The least of `values` that a share of `at` does not exceed.
double quantile(std::vector<double> values, double at) {
  const double last = static_cast<double>(values.size()) - 1;
  const auto place =
      static_cast<std::size_t>(std::clamp(std::ceil(at * (last + 1)) - 1, 0.0, last));
  std::nth_element(
      values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end());
  return values[place];
}

}  // namespace

std::vector<Interval> simultaneous_intervals(const OfWindows& series, const Resampling& how) {
  std::vector<Interval> intervals(series.size());
  if (series.empty() || series.front().size() < kFewest) return intervals;
  std::vector<Centred> all;
  for (const std::vector<double>& values : series) {
    if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
      return intervals;
    all.push_back(centred(values));
  }
  const double c = quantile(draws_of(series.front().size(),
                                     how,
                                     [&](const std::vector<double>& counts) {
                                       double largest = 0;
                                       for (const Centred& each : all)
                                         if (each.error > 0)
                                           largest = std::max(largest, t_of(each, counts));
                                       return largest;
                                     }),
                            how.level);
  if (!std::isfinite(c)) return intervals;
  for (std::size_t i = 0; i < all.size(); ++i)
    intervals[i] = {all[i].mean - c * all[i].error, all[i].mean + c * all[i].error};
  return intervals;
}

Interval percentile_interval(const OfWindows& series,
                             const std::function<double(std::span<const double> means)>& statistic,
                             const Resampling& how) {
  if (series.empty() || series.front().size() < kFewest) return {};
  const double n = static_cast<double>(series.front().size());
  const std::vector<double> draws =
      draws_of(series.front().size(), how, [&](const std::vector<double>& counts) {
        std::vector<double> means;
        for (const std::vector<double>& values : series) {
          double sum = 0;
          for (std::size_t w = 0; w < counts.size(); ++w)
            if (counts[w] > 0) sum += counts[w] * values[w];  // 0 times infinite is no number
          means.push_back(sum / n);
        }
        return statistic(means);
      });
  return {quantile(draws, (1 - how.level) / 2), quantile(draws, (1 + how.level) / 2)};
}

}  // namespace ration::region
