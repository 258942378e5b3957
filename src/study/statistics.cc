#include "study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The percentile interval of the draws, and twice the smaller share of them beyond 0.
Estimate of_draws(double value, std::vector<double> draws, double level) {
  Estimate estimate{.value = value, .low = kNone, .high = kNone, .p = kNone};
  if (draws.empty()) return estimate;
  std::sort(draws.begin(), draws.end());
  // Linear between order statistics, the i-th of n at i / (n - 1).
  const auto quantile = [&](double q) {
    const double at = q * static_cast<double>(draws.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, draws.size() - 1);
    return draws[below] + (at - static_cast<double>(below)) * (draws[above] - draws[below]);
  };
  estimate.low = quantile((1 - level) / 2);
  estimate.high = quantile((1 + level) / 2);
  const auto not_above = std::count_if(draws.begin(), draws.end(), [](double d) { return d <= 0; });
  const auto not_below = std::count_if(draws.begin(), draws.end(), [](double d) { return d >= 0; });
  const auto smaller = static_cast<double>(1 + std::min(not_above, not_below));
  estimate.p = std::min(1.0, 2 * smaller / static_cast<double>(1 + draws.size()));
  return estimate;
}

std::size_t levels_of(const std::vector<std::size_t>& factor) {
  return factor.empty() ? 0 : *std::max_element(factor.begin(), factor.end()) + 1;
}

// The numbers that stand for the levels that occur, in ascending order, so that levels without rows
// are never drawn.
std::vector<std::size_t> compact(const std::vector<std::size_t>& factor) {
  std::vector<std::size_t> place(levels_of(factor), 0);
  for (const std::size_t level : factor) place[level] = 1;
  std::exclusive_scan(place.begin(), place.end(), place.begin(), std::size_t{0});
  std::vector<std::size_t> compacted;
  for (const std::size_t level : factor) compacted.push_back(place[level]);
  return compacted;
}

}  // namespace

double mean(std::span<const double> values) {
  if (values.empty()) return kNone;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(std::span<const double> values) {
  if (values.size() < 2) return kNone;
  const double centre = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Estimate paired_t(std::span<const double> differences, double level) {
  Estimate estimate{.value = mean(differences), .low = kNone, .high = kNone, .p = kNone};
  if (differences.size() < 2) return estimate;
  const auto n = static_cast<double>(differences.size());
  const double error = deviation(differences) / std::sqrt(n);
  if (!std::isfinite(error)) return estimate;
  const boost::math::students_t student(n - 1);
  const double reach = error * boost::math::quantile(student, (1 + level) / 2);
  estimate.low = estimate.value - reach;
  estimate.high = estimate.value + reach;
  if (error > 0)
    estimate.p =
        2 * boost::math::cdf(boost::math::complement(student, std::abs(estimate.value) / error));
  else
    estimate.p = estimate.value == 0 ? 1 : 0;
  return estimate;
}

double sign_test(std::int64_t wins, std::int64_t losses) {
  const std::int64_t n = wins + losses;
  if (n == 0) return 1;
  const boost::math::binomial fair(static_cast<double>(n), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(fair, static_cast<double>(std::min(wins, losses))));
}

double probability_lower(std::span<const double> x, std::span<const double> y) {
  if (x.empty() || y.empty()) return kNone;
  double lower = 0;
  for (const double a : x)
    for (const double b : y) lower += a < b ? 1 : a == b ? 0.5 : 0;
  return lower / (static_cast<double>(x.size()) * static_cast<double>(y.size()));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double reached = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    reached = std::max(reached, static_cast<double>(p.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, reached);
  }
  return adjusted;
}

double weighted_mean(std::span<const double> values, std::span<const double> weights) {
  double sum = 0, total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    if (weight == 0) continue;
    sum += weight * values[i];
    total += weight;
  }
  return total > 0 ? sum / total : kNone;
}

double slope(std::span<const double> x,
             std::span<const double> y,
             std::span<const double> weights) {
  const double centre = weighted_mean(x, weights), height = weighted_mean(y, weights);
  double both = 0, square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    if (weight == 0) continue;
    both += weight * (x[i] - centre) * (y[i] - height);
    square += weight * (x[i] - centre) * (x[i] - centre);
  }
  return square > 0 ? both / square : kNone;
}

Estimate crossed_bootstrap(const std::vector<std::vector<std::size_t>>& factors,
                           const std::function<double(std::span<const double> weights)>& statistic,
                           const Bootstrap& how) {
  const std::size_t rows = factors.empty() ? 0 : factors.front().size();
  std::vector<std::vector<std::size_t>> levels;
  for (const std::vector<std::size_t>& factor : factors) levels.push_back(compact(factor));
  std::vector<double> weights(rows, 1);
  const double value = statistic(weights);

  std::vector<double> draws;
  for (std::int64_t draw = 0; rows > 0 && draw < how.draws; ++draw) {
    Stream stream(how.seed, StreamId::resampling, static_cast<std::uint64_t>(draw));
    std::fill(weights.begin(), weights.end(), 1);
    for (const std::vector<std::size_t>& factor : levels) {
      std::vector<double> counts(levels_of(factor), 0);
      for (std::size_t i = 0; i < counts.size(); ++i) ++counts[stream.below(counts.size())];
      for (std::size_t row = 0; row < rows; ++row) weights[row] *= counts[factor[row]];
    }
    if (const double drawn = statistic(weights); !std::isnan(drawn)) draws.push_back(drawn);
  }
  return of_draws(value, std::move(draws), how.level);
}

Estimate nested_bootstrap(const std::vector<std::vector<double>>& groups, const Bootstrap& how) {
  std::vector<const std::vector<double>*> filled;
  std::vector<double> means;
  for (const std::vector<double>& group : groups)
    if (!group.empty()) {
      filled.push_back(&group);
      means.push_back(mean(group));
    }
  std::vector<double> draws;
  for (std::int64_t draw = 0; !filled.empty() && draw < how.draws; ++draw) {
    Stream stream(how.seed, StreamId::resampling, static_cast<std::uint64_t>(draw));
    double sum = 0;
    for (std::size_t i = 0; i < filled.size(); ++i) {
      const std::vector<double>& group = *filled[stream.below(filled.size())];
      double within = 0;
      for (std::size_t j = 0; j < group.size(); ++j) within += group[stream.below(group.size())];
      sum += within / static_cast<double>(group.size());
    }
    const double drawn = sum / static_cast<double>(filled.size());
    if (!std::isnan(drawn)) draws.push_back(drawn);
  }
  return of_draws(mean(means), std::move(draws), how.level);
}

}  // namespace ration::study
