#pragma once

// Why models disturb each other when they are merged: how often their changes have opposite signs,
// how much of a change lies in its largest entries, and what a model loses when entries of its
// change are reset or turned.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "study/merge/study.h"

namespace ration::study {

struct MergeConflict {
  std::size_t subset = 0, replica = 0;
  double share = 0;    // of the coordinates: two of the changes have opposite signs
  double trimmed = 0;  // the same after each change kept its largest 20 %
};

// What became of one model whose change was altered.
struct MergeAlteration {
  std::string what;  // "top 20 % reset", "top 20 % turned", …
  double rate = 1;   // share of these entries that were altered
  std::size_t corpus = 0, replica = 0;
  double loss = 0, recovered = 0;  // on its own corpus, the half that reports
};

struct MergeMechanism {
  static constexpr double kShare = 0.2;  // what counts as the largest entries
  std::vector<MergeConflict> conflicts;
  // Of the squared length of the change, the part in its largest 20 %: [kept corpus][replica].
  std::vector<std::vector<double>> energy;
  std::vector<MergeAlteration> alterations;
};

// `paths` says where the weights of each name of models.weights lie. Altered models are written
// below `folder`, which is made.
Result<MergeMechanism> examine_merges(const MergeModels& models,
                                      const MergeOutcome& outcome,
                                      const std::map<std::string, Path>& paths,
                                      Files& files,
                                      const Path& folder,
                                      const MergeEvaluate& evaluate);

}  // namespace ration::study
