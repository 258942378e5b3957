#pragma once

// What each tensor of a merge becomes, from the states that it has in the common base, in ours and
// in theirs. No bytes are read.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "versions/manifest.h"
#include "versions/strategy.h"

namespace ration::versions {

enum class Outcome {
  ours,    // as ours has it, which may be not at all
  theirs,  // as theirs has it, which may be not at all
  base,    // as the base has it
  mixed,   // computed by the strategy
  conflict
};

struct Verdict {
  Outcome outcome = Outcome::ours;
  std::string reason =
      {};  // of a conflict: "both changed it", "deleted by ours, changed by theirs"
};

// One tensor; nullptr where it is absent. In the order of the rules:
//   ours and theirs equal                                   ours
//   one side as the base has it                             the other side
//   in all three with one dtype and shape, changed by both  the strategy's outcome
//   anything else                                           conflict, whatever the strategy
// Strategies that compute something leave whole numbers, fp8 and complex numbers to conflict.
Verdict judge(const ManifestTensor* base,
              const ManifestTensor* ours,
              const ManifestTensor* theirs,
              const Strategy& strategy);

// The same of the text under a key of the metadata; computing strategies keep ours.
Verdict judge_text(const std::optional<std::string>& base,
                   const std::optional<std::string>& ours,
                   const std::optional<std::string>& theirs,
                   const Strategy& strategy);

struct Judged {
  std::string name;
  Verdict verdict;
};

// All tensors of the three: those of ours in its order, new ones of theirs in its order, then those
// of the base alone. Of tensors in `unclear` the base is not known: they are conflicts unless ours
// and theirs are equal.
std::vector<Judged> judge(const Manifest& base,
                          const Manifest& ours,
                          const Manifest& theirs,
                          const Strategy& strategy,
                          const std::set<std::string>& unclear = {});

}  // namespace ration::versions
