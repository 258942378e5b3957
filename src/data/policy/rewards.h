#pragma once

// What a batch of an auxiliary source was worth to the target: how far its gradient agrees with the
// target's, and what is left of that when the source repeats.

#include <cstddef>
#include <span>

namespace ration::data {

enum class RewardKind {
  alignment,  // cosine, in [-1, 1]; 0 where a norm is 0
  magnitude,  // 2 |t| |a| / (|t|^2 + |a|^2), in (0, 1]: whether they are of one size
  combined    // (alignment + 1) / 2 + magnitude, in (0, 2]
};

// All that a reward needs of two gradients. Both must be means over tokens: magnitude compares
// their sizes.
struct GradientSums {
  double dot = 0;
  double target_square = 0;
  double source_square = 0;
};

// Summed in double, from the first element to the last.
template <class Real>
GradientSums compare(std::span<const Real> target, std::span<const Real> source) {
  GradientSums sums;
  for (std::size_t i = 0; i < target.size(); ++i) {
    const auto t = static_cast<double>(target[i]), s = static_cast<double>(source[i]);
    sums.dot += t * s;
    sums.target_square += t * t;
    sums.source_square += s * s;
  }
  return sums;
}

double reward(RewardKind kind, const GradientSums& sums);

// A reward brought into [0, 1], where the bounds on regret hold.
double rescaled(RewardKind kind, double reward);

// Worth of the next token of a source whose tokens were seen 1 + `repeats` times:
// exp(-repeats / r_star), the derivative of effective over drawn tokens in "Scaling
// Data-Constrained Language Models" (2023). 1 where r_star is 0.
double repeat_weight(double repeats, double r_star);

}  // namespace ration::data
