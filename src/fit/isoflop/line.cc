#include "fit/isoflop/line.h"

#include <algorithm>
#include <cmath>

namespace ration::fit {
namespace {

// The line through the vertices that are numbers.
std::optional<PowerLine> line_through(const std::vector<IsoflopLevel>& levels,
                                      const std::vector<double>& vertices) {
  std::vector<double> c, x, weights;
  for (std::size_t j = 0; j < levels.size(); ++j) {
    if (std::isnan(vertices[j])) continue;
    c.push_back(std::log(levels[j].flops.value));
    x.push_back(vertices[j]);
    weights.push_back(1 / std::pow(levels[j].error, 2));
  }
  return c.size() < 2 ? std::nullopt : regress(c, x, weights);
}

// Standard deviation of the vertices about the line beyond what the draws explain: tau of sum w r^2
// = sum w (s^2 + tau^2) (1 - h), with s the drawn error, w the weight and h the leverage of a
// level.
double excess_scatter(const std::vector<IsoflopLevel>& levels, const PowerLine& line) {
  double sum = 0, mean = 0, spread = 0;
  const auto each = [&](const auto& visit) {
    for (const IsoflopLevel& level : levels)
      if (level.rejected.empty())
        visit(level, std::log(level.flops.value), 1 / std::pow(level.error, 2));
  };
  each([&](const IsoflopLevel&, double c, double w) { sum += w, mean += w * c; });
  mean /= sum;
  each([&](const IsoflopLevel&, double c, double w) { spread += w * std::pow(c - mean, 2); });
  double seen = 0, explained = 0, freedom = 0;
  each([&](const IsoflopLevel& level, double c, double w) {
    const double free = 1 - w / sum - w * std::pow(c - mean, 2) / spread;
    seen += w * std::pow(std::log(level.vertex.value) - line.log_params(c), 2);
    explained += w * std::pow(level.drawn_error, 2) * free;
    freedom += w * free;
  });
  return std::sqrt(std::max(0.0, (seen - explained) / freedom));
}

}  // namespace

void find_line(const IsoflopOptions& options, const VertexDraws& draws, Isoflop& found) {
  std::vector<double> vertices;
  Span flops{HUGE_VAL, 0};
  for (const IsoflopLevel& level : found.levels) {
    vertices.push_back(level.rejected.empty() ? std::log(level.vertex.value) : NAN);
    if (!level.rejected.empty()) continue;
    flops = {std::min(flops.low, level.flops.value), std::max(flops.high, level.flops.value)};
  }
  const std::optional<PowerLine> best = line_through(found.levels, vertices);
  if (!best) return;
  constexpr int kShowScatter = 4;  // levels, for two degrees of freedom
  found.scatter_known = found.used() >= kShowScatter;
  if (found.scatter_known) found.scatter = excess_scatter(found.levels, *best);
  OptimumLine line{.best = *best, .interval = options.draws.interval, .flops = flops};
  for (std::size_t draw = 0; draw < static_cast<std::size_t>(options.draws.resamples); ++draw) {
    for (std::size_t j = 0; j < vertices.size(); ++j) {
      const IsoflopLevel& level = found.levels[j];
      const double added =
          found.scatter_known
              ? found.scatter
              : std::sqrt(std::pow(level.error, 2) - std::pow(level.drawn_error, 2));
      vertices[j] = draws.vertices[j][draw] + added * draws.normals[j][draw];
    }
    if (const std::optional<PowerLine> drawn = line_through(found.levels, vertices))
      line.draws.push_back(*drawn);
    else
      ++line.failed;
  }
  found.line = std::move(line);
}

}  // namespace ration::fit
