#include "region/line.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ration::region {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double loss_at(double alpha, std::span<const double> alphas, std::span<const double> losses) {
  for (std::size_t i = 0; i < alphas.size(); ++i)
    if (alphas[i] == alpha) return losses[i];
  return std::numeric_limits<double>::quiet_NaN();
}

bool finite(const std::vector<double>& losses) {
  return std::all_of(losses.begin(), losses.end(), [](double v) { return std::isfinite(v); });
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the largest of numbers, or 0, out of intervals that hold them all.
Interval largest_of(const std::vector<Interval>& all) {
  if (all.empty() || !all.front().known()) return {};
  Interval largest{0, 0};
  for (const Interval& each : all)
    largest = {std::max(largest.low, each.low), std::max(largest.high, each.high)};
  return largest;
}

// Of how far the lowest loss is below the better end; `changes` are those from the one and from
// the other end, alpha after alpha. The larger change is the one from the better end.
Interval drop_of(const std::vector<Interval>& changes) {
  if (changes.empty() || !changes.front().known()) return {};
  Interval lowest{0, 0};
  for (std::size_t i = 0; i + 1 < changes.size(); i += 2) {
    const Interval& from_begin = changes[i];
    const Interval& from_end = changes[i + 1];
    lowest.low = std::min(lowest.low, std::max(from_begin.low, from_end.low));
    lowest.high = std::min(lowest.high, std::max(from_begin.high, from_end.high));
  }
  return {0 - lowest.high, 0 - lowest.low};  // no 0 with a sign
}

}  // namespace

std::vector<double> line_alphas() {
  std::vector<double> alphas;
  for (int i = 0; i <= 10; ++i) alphas.push_back(i / 10.0);
  for (int j = 0; j <= 7; ++j) {
    const double beyond = std::ldexp(1.0, j - 3);
    alphas.push_back(1 + beyond);
    alphas.push_back(-beyond);
  }
  std::sort(alphas.begin(), alphas.end());
  return alphas;
}

Profile profile(std::span<const double> alphas, std::span<const double> losses) {
  const double begin = loss_at(0, alphas, losses), end = loss_at(1, alphas, losses);
  Profile profile;
  profile.lowest = kInfinity;
  const bool between =
      std::any_of(alphas.begin(), alphas.end(), [](double a) { return a > 0 && a < 1; });
  if (!between || !std::isfinite(begin) || !std::isfinite(end))
    profile.barrier = profile.barrier_at = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    const double alpha = alphas[i];
    const double loss = std::isnan(losses[i]) ? kInfinity : losses[i];
    if (loss < profile.lowest) profile.lowest = loss, profile.lowest_at = alpha;
    if (alpha <= 0 || alpha >= 1) continue;  // at both ends it is 0
    const double above = loss - ((1 - alpha) * begin + alpha * end);
    if (above > profile.barrier) profile.barrier = above, profile.barrier_at = alpha;
  }
  const double better = std::fmin(begin, end);  // the other, where one is NaN
  profile.below_ends = std::isfinite(better) ? better - profile.lowest : kNone;
  return profile;
}

LineIntervals line_intervals(std::span<const double> alphas,
                             const OfWindows& windows,
                             const Resampling& how) {
  LineIntervals result;
  const std::vector<double>* ends[2] = {};
  for (std::size_t i = 0; i < alphas.size(); ++i)
    for (const int end : {0, 1})
      if (alphas[i] == end) ends[end] = &windows[i];
  if (ends[0] == nullptr || ends[1] == nullptr || !finite(*ends[0]) || !finite(*ends[1]))
    return result;
  const auto less = [&](const std::vector<double>& losses, double alpha) {
    std::vector<double> series;
    for (std::size_t w = 0; w < losses.size(); ++w)
      series.push_back(losses[w] - ((1 - alpha) * (*ends[0])[w] + alpha * (*ends[1])[w]));
    return series;
  };
  OfWindows excess, changes;  // changes: from the one and from the other end, alpha after alpha
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    if (alphas[i] > 0 && alphas[i] < 1) {
      result.alphas.push_back(alphas[i]);
      excess.push_back(less(windows[i], alphas[i]));
      result.excess.push_back(mean_of(excess.back()));
    }
    if (!finite(windows[i])) continue;  // it is not the lowest
    changes.push_back(less(windows[i], 0));
    changes.push_back(less(windows[i], 1));
  }
  result.excess_in = simultaneous_intervals(excess, how);
  result.barrier = largest_of(result.excess_in);
  result.below_ends = drop_of(simultaneous_intervals(changes, how));
  return result;
}

}  // namespace ration::region
