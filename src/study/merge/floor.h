#pragma once

// What merged models are measured by: the base, which a merge should not fall below, the models'
// own training, which it can reach, and training on several corpora at once.

#include <vector>

#include "study/merge/points.h"

namespace ration::study {

struct MergeFloor {
  struct Losses {
    MergeLosses::Loss choose, report;  // of the two halves of the held-out windows
    MergeLosses::Loss on(Half half) const { return half == Half::choose ? choose : report; }
  };
  using Table = std::vector<std::vector<Losses>>;  // [corpus][replica]

  Table base, own;
  std::vector<Table> multitask;  // of each of MergeModels::multitask; corpora without it are NaN

  // The share of the own training's gain that a loss has kept, R = (L_base - L) / (L_base - L_own):
  // 1 as good as the own model, 0 as the base, below 0 worse than doing nothing.
  double recovered(std::size_t corpus, std::size_t replica, Half half, double loss) const;
  // L_base - L_own, mean over replicas.
  double gain(std::size_t corpus, Half half) const;
};

Result<MergeFloor> measure_floor(const MergeModels& models, const MergeEvaluate& evaluate);

// The corpora whose own training won at least `min_gain` on the half that chooses, so that the
// other half has no part in what is reported.
std::vector<std::size_t> corpora_with_gain(const MergeFloor& floor, double min_gain);

}  // namespace ration::study
