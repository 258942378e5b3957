#include "data/policy/rewards.h"

#include <algorithm>
#include <cmath>

namespace ration::data {

double reward(RewardKind kind, const GradientSums& sums) {
  constexpr double kTiny = 1e-8;
  const double norms = std::sqrt(sums.target_square) * std::sqrt(sums.source_square);
  const double alignment = norms > 0 ? std::clamp(sums.dot / norms, -1.0, 1.0) : 0;
  if (kind == RewardKind::alignment) return alignment;
  const double magnitude = (2 * norms + kTiny) / (sums.target_square + sums.source_square + kTiny);
  return kind == RewardKind::magnitude ? magnitude : (alignment + 1) / 2 + magnitude;
}

double rescaled(RewardKind kind, double reward) {
  if (kind == RewardKind::alignment) return (reward + 1) / 2;
  return kind == RewardKind::combined ? reward / 2 : reward;
}

double repeat_weight(double repeats, double r_star) {
  return r_star > 0 ? std::exp(-std::max(0.0, repeats) / r_star) : 1;
}

}  // namespace ration::data
