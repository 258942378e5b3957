// Losses of a hull's points sorted by kind, and what they come to.

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "cli/region_hull_text.h"

namespace ration::cli {
namespace {

using region::OfWindows;

double or_infinite(double loss) {
  return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
}

// P(x < y) + P(x = y)/2 over all pairs; losses that are none count as infinite.
double share_below(std::span<const double> x, std::span<const double> y) {
  if (x.empty() || y.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double a : x)
    for (const double b : y)
      sum += or_infinite(a) < or_infinite(b) ? 1 : or_infinite(a) == or_infinite(b) ? 0.5 : 0;
  return sum / static_cast<double>(x.size() * y.size());
}

// A share of points `first` … `last` - 1 and the members, which come first in `losses`.
Measured below_members(std::span<const double> losses,
                       const OfWindows& windows,
                       std::size_t members,
                       std::size_t first,
                       std::size_t last) {
  if (first == last) return {.value = std::numeric_limits<double>::quiet_NaN(), .interval = {}};
  const auto share = [&](std::span<const double> of_points) {
    return share_below(of_points.subspan(first, last - first), of_points.first(members));
  };
  return {.value = share(losses), .interval = region::percentile_interval(windows, share)};
}

Measured less_members(std::span<const double> losses,
                      const OfWindows& windows,
                      std::size_t members) {
  const auto difference = [&](const auto& of_point) {
    double mean = 0;
    for (std::size_t i = 0; i < members; ++i) mean += of_point(i) / static_cast<double>(members);
    return of_point(members) - mean;
  };
  OfWindows series(1);
  for (std::size_t w = 0; w < windows.front().size(); ++w)
    series[0].push_back(difference([&](std::size_t i) { return windows[i][w]; }));
  return {.value = difference([&](std::size_t i) { return losses[i]; }),
          .interval = region::simultaneous_intervals(series).front()};
}

}  // namespace

std::vector<RegionPoint> HullPoints::points() const {
  std::vector<RegionPoint> all;
  for (std::size_t i = 0; i < members; ++i) {
    std::vector<double> unit(members);
    unit[i] = 1;
    all.push_back({.name = fmt::format("member {}", i + 1), .weights = std::move(unit)});
  }
  all.push_back({.name = "centroid"});
  for (std::size_t i = 0; i < samples.size(); ++i)
    all.push_back({.name = fmt::format("sample {}", i), .weights = samples[i]});
  for (std::size_t i = 0; i < triangle.size(); ++i)
    all.push_back({.name = fmt::format("triangle {}", i), .weights = triangle[i]});
  return all;
}

HullAnswer hull_answer(HullPoints points, const PointLosses& losses) {
  HullAnswer answer{
      .points = std::move(points), .runs = losses.runs, .text = tokens_text(losses), .corpora = {}};
  const std::size_t members = answer.points.members;
  const std::size_t end = members + 1 + answer.points.samples.size();  // of the samples
  for (std::size_t c = 0; c < losses.corpora.size(); ++c) {
    const std::span<const double> all = losses.losses[c];
    const auto part = [&](std::size_t first, std::size_t last) {
      return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(first),
                                 all.begin() + static_cast<std::ptrdiff_t>(last));
    };
    const OfWindows windows(losses.windows[c].begin(),
                            losses.windows[c].begin() + static_cast<std::ptrdiff_t>(end));
    answer.corpora.push_back(
        {.tokens = losses.tokens[c],
         .windows = windows.front().size(),
         .losses = {.corpus = losses.corpora[c],
                    .members = part(0, members),
                    .samples = part(members + 1, end),
                    .centroid = all[members]},
         .triangle = part(end, all.size()),
         .sample_below = below_members(all, windows, members, members + 1, end),
         .centroid_below = below_members(all, windows, members, members, members + 1),
         .centroid_less_members = less_members(all, windows, members)});
  }
  return answer;
}

}  // namespace ration::cli
