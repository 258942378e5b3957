#include "eval/pairs/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace ration::eval {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Linear between the two nearest of ascending values.
double quantile(const std::vector<double>& ascending, double q) {
  const double at = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return std::lerp(ascending[below], ascending[above], at - static_cast<double>(below));
}

Interval percentiles(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return {kNaN, kNaN};
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace

Interval wilson(double correct, double n) {
  if (n <= 0) return {kNaN, kNaN};
  constexpr double z = 1.959963984540054;
  const double p = correct / n;
  const double centre = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

double mcnemar(std::int64_t only_first, std::int64_t only_second) {
  const std::int64_t n = only_first + only_second;
  double tail = 0;
  for (std::int64_t k = 0; k <= std::min(only_first, only_second); ++k) {
    const auto chosen = static_cast<double>(k), all = static_cast<double>(n);
    tail += std::exp(std::lgamma(all + 1) - std::lgamma(chosen + 1) -
                     std::lgamma(all - chosen + 1) - all * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

double median(std::vector<double> values) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<Interval> cluster_bootstrap(std::size_t clusters,
                                        std::size_t values,
                                        const ClusterStatistic& statistic,
                                        const ClusterDraws& how) {
  if (clusters < 2) return std::vector<Interval>(values, {kNaN, kNaN});
  std::vector<std::vector<double>> drawn(values);
  std::vector<double> counts(clusters), of_draw(values);
  for (std::int64_t draw = 0; draw < how.draws; ++draw) {
    Stream stream(how.seed, StreamId::resampling, static_cast<std::uint64_t>(draw));
    std::fill(counts.begin(), counts.end(), 0);
    for (std::size_t i = 0; i < clusters; ++i) counts[stream.below(clusters)] += 1;
    statistic(counts, of_draw);
    for (std::size_t v = 0; v < values; ++v) drawn[v].push_back(of_draw[v]);
  }
  std::vector<Interval> intervals;
  for (std::vector<double>& each : drawn) intervals.push_back(percentiles(std::move(each)));
  return intervals;
}

}  // namespace ration::eval
