#include "plan/remedies/statistics.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace ration::plan {

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double centre = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - centre) * (value - centre);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double normal_reach(double level) {
  return boost::math::quantile(boost::math::normal(), (1 + level) / 2);
}

std::vector<double> bootstrap_means(std::span<const double> values,
                                    const PriceOptions& options,
                                    std::size_t cell) {
  const double centre = mean_of(values);
  std::vector<double> means(static_cast<std::size_t>(options.draws), centre);
  if (values.size() < 2) return means;
  const auto n = static_cast<double>(values.size());
  const double stretch =
      std::sqrt(n / (n - 1)) *
      boost::math::quantile(boost::math::students_t(n - 1), (1 + options.level) / 2) /
      normal_reach(options.level);
  for (std::size_t b = 0; b < means.size(); ++b) {
    Stream stream(options.seed, StreamId::resampling, (std::uint64_t{cell} << 32) + b);
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += values[stream.below(values.size())];
    means[b] = centre + stretch * (sum / n - centre);
  }
  return means;
}

Amount amount_of(std::vector<double> draws, double level) {
  std::erase_if(draws, [](double value) { return std::isnan(value); });
  if (draws.empty()) return {NAN};
  std::sort(draws.begin(), draws.end());
  // Linear between order statistics, the i-th of n at i / (n - 1); infinities stay what they are.
  const auto quantile = [&](double q) {
    const double at = q * static_cast<double>(draws.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const double part = at - static_cast<double>(below);
    if (part == 0 || draws[below] == draws[below + 1]) return draws[below];
    return draws[below] + part * (draws[below + 1] - draws[below]);
  };
  const auto finite = [](double value) {
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  };
  const double tail = (1 - level) / 2;
  return {quantile(0.5), finite(quantile(tail)), finite(quantile(1 - tail))};
}

Amount student(std::span<const double> values, double level) {
  const double centre = mean_of(values);
  if (values.size() < 2) return {centre};
  const auto n = static_cast<double>(values.size());
  const double reach = deviation_of(values) / std::sqrt(n) *
                       boost::math::quantile(boost::math::students_t(n - 1), (1 + level) / 2);
  return {centre, centre - reach, centre + reach};
}

double p_of(double value, double error, double freedom) {
  if (freedom < 1) return 1;
  if (!(error > 0)) return value == 0 ? 1 : 0;
  const boost::math::students_t distribution(freedom);
  return 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(value) / error));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double reached = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    reached = std::max(reached, static_cast<double>(order.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, reached);
  }
  return adjusted;
}

}  // namespace ration::plan
