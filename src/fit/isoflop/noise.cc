#include "fit/isoflop/noise.h"

#include <algorithm>
#include <cmath>

#include "fit/isoflop/profile.h"

namespace ration::fit {
namespace {

// A sum of squares of ln L with its degrees of freedom.
struct Squares {
  double sum = 0;
  int freedom = 0;
};

Squares between_replicas(const std::vector<IsoflopLevel>& levels) {
  Squares squares;
  const auto same = [](const Observation& a, const Observation& b) {
    return a.params == b.params && a.tokens == b.tokens && a.unique == b.unique;
  };
  for (const IsoflopLevel& level : levels)
    for (std::size_t i = 0, end = 0; i < level.runs.size(); i = end) {
      double mean = 0;
      for (end = i; end < level.runs.size() && same(level.runs[i], level.runs[end]); ++end)
        mean += std::log(level.runs[end].loss.value);
      mean /= static_cast<double>(end - i);
      for (std::size_t k = i; k < end; ++k)
        squares.sum += std::pow(std::log(level.runs[k].loss.value) - mean, 2);
      squares.freedom += static_cast<int>(end - i) - 1;
    }
  return squares;
}

Squares about_parabolas(const std::vector<IsoflopLevel>& levels) {
  Squares squares;
  for (const IsoflopLevel& level : levels) {
    const int freedom = static_cast<int>(level.runs.size()) - 3;
    if (level.sizes < kLeastSizes || freedom < 1) continue;
    for (std::size_t i = 0; i < level.runs.size(); ++i)
      squares.sum += std::pow(
          level.losses[i] / level.parabola.loss(std::log(level.runs[i].params.value)) - 1, 2);
    squares.freedom += freedom;
  }
  return squares;
}

// Standard deviation of ln L between seeds, growing with the loss.
double growing_noise(double loss) {
  constexpr double kLowLoss = 3, kHighLoss = 6, kLow = 0.005, kHigh = 0.1;  // nats
  const double share =
      std::clamp(std::log(loss / kLowLoss) / std::log(kHighLoss / kLowLoss), 0.0, 1.0);
  return kLow * std::pow(kHigh / kLow, share) / loss;
}

}  // namespace

void find_noise(const IsoflopOptions& options, Isoflop& found) {
  if (options.noise == Noise::given) {
    found.noise = options.noise_sd;
    found.noise_source = "given";
    return;
  }
  if (options.noise == Noise::growing) {
    double sum = 0;
    for (const IsoflopLevel& level : found.levels)
      for (const double loss : level.losses) sum += std::pow(growing_noise(loss), 2);
    found.noise = std::sqrt(sum / found.runs);
    found.noise_source = "growing with the loss";
    return;
  }
  constexpr int kEnoughReplicas = 5;  // the estimate is then within a third in two of three cases
  const Squares replicas = between_replicas(found.levels);
  const bool enough = replicas.freedom >= kEnoughReplicas;
  const Squares squares = enough ? replicas : about_parabolas(found.levels);
  found.noise_freedom = squares.freedom;
  found.noise_source = enough                ? "from replicas"
                       : squares.freedom > 0 ? "from residuals of the parabolas"
                                             : "unknown";
  if (squares.freedom > 0) found.noise = std::sqrt(squares.sum / squares.freedom);
}

std::vector<double> noise_of(const IsoflopOptions& options,
                             const Isoflop& found,
                             const IsoflopLevel& level) {
  std::vector<double> noise(level.losses.size(), found.noise);
  if (options.noise == Noise::growing)
    std::transform(level.losses.begin(), level.losses.end(), noise.begin(), growing_noise);
  return noise;
}

}  // namespace ration::fit
