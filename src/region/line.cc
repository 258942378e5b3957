#include "region/line.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ration::region {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double loss_at(double alpha, std::span<const double> alphas, std::span<const double> losses) {
  for (std::size_t i = 0; i < alphas.size(); ++i)
    if (alphas[i] == alpha) return losses[i];
  return std::numeric_limits<double>::quiet_NaN();
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
  return profile;
}

}  // namespace ration::region
