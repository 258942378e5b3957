#include "fit/isoflop/draws.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/random.h"
#include "fit/isoflop/noise.h"

namespace ration::fit {
namespace {

// Error of x* by the delta method, for losses with independent noise.
double delta_error(const Design& design,
                   const IsoflopLevel& level,
                   const std::vector<double>& noise) {
  const Parabola& p = level.parabola;
  const Eigen::RowVector3d gradient(0, -1 / (2 * p.c2), p.c1 / (2 * p.c2 * p.c2));
  const Eigen::RowVectorXd pull = gradient * design.solve;
  double variance = 0;
  for (std::size_t i = 0; i < noise.size(); ++i)
    variance += std::pow(pull[static_cast<Eigen::Index>(i)] * noise[i] * level.losses[i], 2);
  return std::sqrt(variance);
}

}  // namespace

VertexDraws draw_vertices(const IsoflopOptions& options,
                          const std::vector<Design>& designs,
                          const Isoflop& found) {
  const auto count = static_cast<std::size_t>(options.draws.resamples);
  const std::size_t size = found.levels.size();
  VertexDraws draws{std::vector(size, std::vector<double>(count, NAN)),
                    std::vector(size, std::vector<double>(count))};
  std::vector<std::vector<double>> noise;
  for (const IsoflopLevel& level : found.levels) noise.push_back(noise_of(options, found, level));
  parallel_for(count, options.draws.threads, [&](std::size_t draw) {
    Stream stream(options.draws.seed, StreamId::bootstrap, draw);
    // An estimate of the noise is uncertain itself: s^2 freedom / chi^2 instead of s^2, which is
    // what makes a t distribution out of a normal one.
    double chi2 = 0;
    for (int i = 0; i < found.noise_freedom; ++i) chi2 += std::pow(stream.normal(), 2);
    const double factor = found.noise_freedom > 0 ? std::sqrt(found.noise_freedom / chi2) : 1;
    for (std::size_t j = 0; j < size; ++j) {
      const IsoflopLevel& level = found.levels[j];
      draws.normals[j][draw] = stream.normal();
      std::vector<double> losses = level.losses;
      for (std::size_t i = 0; i < losses.size(); ++i)
        losses[i] *= std::exp(factor * noise[j][i] * stream.normal());
      if (!level.rejected.empty()) continue;
      if (options.error == VertexError::delta) {
        const double error = delta_error(designs[j], level, noise[j]);
        draws.vertices[j][draw] = std::log(level.vertex.value) + factor * error * stream.normal();
        continue;
      }
      const Vertex vertex = vertex_of(options.curve, designs[j], losses);
      if (vertex.rejected == nullptr) draws.vertices[j][draw] = vertex.x;
    }
  });
  return draws;
}

void find_errors(const std::vector<Design>& designs, const VertexDraws& draws, Isoflop& found) {
  constexpr double kOneSigma = 0.6827, kFloor = 1.0 / 3;  // of a grid step
  for (std::size_t j = 0; j < found.levels.size(); ++j) {
    IsoflopLevel& level = found.levels[j];
    if (!level.rejected.empty()) continue;
    std::vector<double> seen;
    for (const double x : draws.vertices[j])
      if (!std::isnan(x)) seen.push_back(x);
    level.found = static_cast<double>(seen.size()) / static_cast<double>(draws.vertices[j].size());
    if (!seen.empty()) {
      const Span middle = percentile_interval(seen, kOneSigma);
      level.drawn_error = (middle.high - middle.low) / 2;
    }
    level.error = std::max(level.drawn_error, kFloor * designs[j].step());
  }
}

}  // namespace ration::fit
