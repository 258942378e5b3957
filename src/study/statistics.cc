#include "study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// What a bootstrap of few units is short of: its draws spread by sqrt((n-1)/n) of what is due, and
// follow a normal where Student's t is due (Hesterberg: What teachers should know about the
// bootstrap; 2015, section 3.3).
struct Shortfall {
  double stretch = 1;  // of the draws' distances from the value
  double freedom = 0;  // degrees of Student's t; below 1 there is no interval
};

Shortfall of_units(std::size_t n) {
  if (n < 2) return {};
  const auto freedom = static_cast<double>(n - 1);
  return {.stretch = std::sqrt(static_cast<double>(n) / freedom), .freedom = freedom};
}

// Of draws of several crossed factors: `variance` of the draws of each one alone, and its `units`.
// Degrees of freedom as for any sum of variances (Satterthwaite 1946).
Shortfall of_factors(std::span<const double> variance, std::span<const std::size_t> units) {
  double drawn = 0, due = 0, squares = 0;
  std::size_t fewest = 0;
  for (std::size_t f = 0; f < units.size(); ++f) {
    const Shortfall own = of_units(units[f]);
    if (own.freedom < 1) continue;
    fewest = fewest == 0 ? units[f] : std::min(fewest, units[f]);
    const double part = variance[f] * own.stretch * own.stretch;
    drawn += variance[f];
    due += part;
    squares += part * part / own.freedom;
  }
  if (!(squares > 0)) return of_units(fewest);
  return {.stretch = std::sqrt(due / drawn), .freedom = due * due / squares};
}

// Interval and p of draws that are short of something.
Estimate of_draws(double value,
                  std::vector<double> draws,
                  double level,
                  const Shortfall& shortfall) {
  Estimate estimate{.value = value, .low = kNone, .high = kNone, .p = kNone};
  if (draws.empty() || shortfall.freedom < 1) return estimate;
  std::sort(draws.begin(), draws.end());
  // Linear between order statistics, the i-th of n at i / (n - 1).
  const auto quantile = [&](double q) {
    const double at = q * static_cast<double>(draws.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, draws.size() - 1);
    return draws[below] + (at - static_cast<double>(below)) * (draws[above] - draws[below]);
  };
  const boost::math::students_t student(shortfall.freedom);
  const double tail = (1 + level) / 2;
  const double wider = shortfall.stretch * boost::math::quantile(student, tail) /
                       boost::math::quantile(boost::math::normal(), tail);
  estimate.low = value - wider * (value - quantile(1 - tail));
  estimate.high = value + wider * (quantile(tail) - value);
  // Counting draws beyond 0 instead could not go below what a few thousand of them resolve.
  const double error = deviation(draws) * shortfall.stretch;
  if (error > 0)
    estimate.p = 2 * boost::math::cdf(boost::math::complement(student, std::abs(value) / error));
  else
    estimate.p = value == 0 ? 1 : 0;
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
  const auto known = [](double loss) {  // no finite loss is worse than any
    return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
  };
  double lower = 0;
  for (const double a : x)
    for (const double b : y) lower += known(a) < known(b) ? 1 : known(a) == known(b) ? 0.5 : 0;
  return lower / (static_cast<double>(x.size()) * static_cast<double>(y.size()));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order;  // of the tests that were made
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(p[i])) order.push_back(i);
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size(), kNone);
  double reached = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    reached = std::max(reached, static_cast<double>(order.size() - i) * p[order[i]]);
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
  std::vector<std::size_t> units;
  for (const std::vector<std::size_t>& factor : factors) {
    levels.push_back(compact(factor));
    units.push_back(levels_of(levels.back()));
  }
  std::vector<double> weights(rows, 1);
  const double value = statistic(weights);

  // `stage` keeps the streams of different draws apart.
  const auto draw = [&](std::span<const std::size_t> resampled, std::uint64_t stage, double share) {
    std::vector<double> draws;
    const auto count = static_cast<std::uint64_t>(share * static_cast<double>(how.draws));
    for (std::uint64_t i = 0; rows > 0 && i < count; ++i) {
      Stream stream(how.seed, StreamId::resampling, (stage << 32) + i);
      std::fill(weights.begin(), weights.end(), 1);
      for (const std::size_t f : resampled) {
        std::vector<double> counts(units[f], 0);
        for (std::size_t j = 0; j < counts.size(); ++j) ++counts[stream.below(counts.size())];
        for (std::size_t row = 0; row < rows; ++row) weights[row] *= counts[levels[f][row]];
      }
      if (const double drawn = statistic(weights); !std::isnan(drawn)) draws.push_back(drawn);
    }
    return draws;
  };

  std::vector<std::size_t> all(levels.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  constexpr double kForVariances = 0.25;  // of the draws; they need not be as sharp as tails
  std::vector<double> variance(levels.size(), 0);
  if (levels.size() > 1)
    for (std::size_t f = 0; f < levels.size(); ++f) {
      const double spread = deviation(draw({&all[f], 1}, f + 1, kForVariances));
      if (std::isfinite(spread)) variance[f] = spread * spread;
    }
  return of_draws(value, draw(all, 0, 1), how.level, of_factors(variance, units));
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
  return of_draws(mean(means), std::move(draws), how.level, of_units(filled.size()));
}

}  // namespace ration::study
