#include "region/hull.h"

#include <cmath>

#include "base/random.h"

namespace ration::region {

std::vector<double> hull_weights(std::size_t n, std::uint64_t seed, std::uint64_t number) {
  if (n == 1) return {1};
  Stream stream(seed, StreamId::hull, number);
  std::vector<double> weights(n);
  double sum = 0;
  for (double& weight : weights) sum += weight = -std::log1p(-stream.uniform());
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<std::vector<double>> triangle_weights(std::size_t steps) {
  const auto share = [steps](std::size_t part) {
    return static_cast<double>(part) / static_cast<double>(steps);
  };
  std::vector<std::vector<double>> points;
  for (std::size_t a = 0; a <= steps; ++a)
    for (std::size_t b = 0; a + b <= steps; ++b)
      points.push_back({share(a), share(b), share(steps - a - b)});
  return points;
}

}  // namespace ration::region
