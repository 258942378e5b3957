#include "fit/isoflop/levels.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "fit/observations.h"

namespace ration::fit {
namespace {

double log_flops(const Observation& run) {
  return std::log(training_flops(run.params, run.tokens).value);
}

void fit_level(ProfileCurve curve, const Design& design, IsoflopLevel& level) {
  level.losses.clear();
  for (const Observation& run : level.runs)
    level.losses.push_back(run.loss.value *
                           std::exp(level.slope * (std::log(level.flops.value) - log_flops(run))));
  level.sizes = static_cast<int>(design.sizes.size());
  if (level.sizes >= kLeastSizes) level.parabola = parabola_of(design, level.losses);
  const Vertex vertex = vertex_of(curve, design, level.losses);
  level.rejected = vertex.rejected == nullptr ? "" : vertex.rejected;
  if (vertex.rejected != nullptr) return;
  level.vertex = Params(std::exp(vertex.x));
  level.least = Loss(vertex.loss);
  const double below = vertex.x - design.sizes.front(), above = design.sizes.back() - vertex.x;
  level.lopsided = std::max(below, above) / std::min(below, above);
}

// d ln(least loss) / d ln C at each level: that of a parabola through the levels with a vertex, of
// a line where they are fewer than five, 0 where fewer than two.
void find_slopes(std::vector<IsoflopLevel>& levels) {
  constexpr Eigen::Index kShowCurvature = 5;
  std::vector<double> c, l;
  for (IsoflopLevel& level : levels) {
    level.slope = 0;
    if (!level.rejected.empty()) continue;
    c.push_back(std::log(level.flops.value));
    l.push_back(std::log(level.least.value));
  }
  const auto n = static_cast<Eigen::Index>(c.size());
  if (n < 2) return;
  const double center = std::accumulate(c.begin(), c.end(), 0.0) / static_cast<double>(n);
  const Eigen::VectorXd u = Eigen::Map<Eigen::VectorXd>(c.data(), n).array() - center;
  Eigen::MatrixXd powers(n, n < kShowCurvature ? 2 : 3);
  for (Eigen::Index k = 0; k < powers.cols(); ++k) powers.col(k) = u.array().pow(k);
  const Eigen::VectorXd fitted =
      powers.colPivHouseholderQr().solve(Eigen::Map<Eigen::VectorXd>(l.data(), n));
  const double bend = fitted.size() > 2 ? 2 * fitted[2] : 0;
  for (IsoflopLevel& level : levels) {
    const double at = std::clamp(std::log(level.flops.value), c.front(), c.back());
    level.slope = fitted[1] + bend * (at - center);
  }
}

}  // namespace

std::vector<Observation> last_rows(std::vector<Observation> rows) {
  std::map<std::string, double> last;
  for (const Observation& row : rows)
    if (!row.run.empty()) last[row.run] = std::max(last[row.run], row.tokens.value);
  std::erase_if(rows, [&](const Observation& row) {
    return !row.run.empty() && row.tokens.value < last[row.run];
  });
  return rows;
}

std::vector<IsoflopLevel> levels_of(std::vector<Observation> runs, double tolerance) {
  std::stable_sort(runs.begin(), runs.end(), [](const Observation& a, const Observation& b) {
    return log_flops(a) < log_flops(b);
  });
  constexpr double kRounding = 1e-9;
  const double width = std::log1p(tolerance) + kRounding;
  std::vector<IsoflopLevel> levels;
  while (!runs.empty()) {
    std::size_t best = 0, most = 0;
    for (std::size_t first = 0, end = 0; first < runs.size(); ++first) {
      while (end < runs.size() && log_flops(runs[end]) <= log_flops(runs[first]) + width) ++end;
      if (end - first > most) best = first, most = end - first;
    }
    const auto begin = runs.begin() + static_cast<std::ptrdiff_t>(best);
    const auto end = begin + static_cast<std::ptrdiff_t>(most);
    levels.push_back({.runs = {begin, end}});
    runs.erase(begin, end);
  }
  for (IsoflopLevel& level : levels) {
    double sum = 0;
    for (const Observation& run : level.runs) sum += log_flops(run);
    level.flops = Flops(std::exp(sum / static_cast<double>(level.runs.size())));
    level.range = {std::exp(log_flops(level.runs.front())), std::exp(log_flops(level.runs.back()))};
    level.runs = canonical(level.runs);
  }
  std::sort(levels.begin(), levels.end(), [](const IsoflopLevel& a, const IsoflopLevel& b) {
    return a.flops < b.flops;
  });
  return levels;
}

void fit_levels(ProfileCurve curve,
                const std::vector<Design>& designs,
                std::vector<IsoflopLevel>& levels) {
  constexpr int kPasses = 4;  // the slope settles within 1e-4 of itself on published runs
  for (int pass = 0; pass < kPasses; ++pass) {
    if (pass > 0) find_slopes(levels);
    for (std::size_t j = 0; j < designs.size(); ++j) fit_level(curve, designs[j], levels[j]);
  }
}

}  // namespace ration::fit
