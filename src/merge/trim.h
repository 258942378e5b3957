#pragma once

// Which entries of a task vector are among the largest, without sorting: the threshold is found
// digit by digit, 16 bits of |tau| at a time, in 65,536 counts (the order of the bit patterns of
// positive numbers is that of the numbers). O(D) reads, half a MiB a model and thread,
// 48 MiB at most: models beyond 32 are searched one group after the other. Internal to the room.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "merge/pieces.h"

namespace ration::merge {

// Entries stay from `threshold` on; those equal to it before flat index `until` alone.
struct Cut {
  double threshold = 0;
  std::uint64_t until = UINT64_MAX;
};

struct Keep {
  double share = 0.2;  // of the entries of all pieces: floor(share * entries), ties by lower index
  bool inclusive = false;  // one more, and all equal to it: the TIES reference
};

// The cuts of `models` task vectors, each over all of `pieces`; ErrorKind::input for NaN and
// infinity.
Result<std::vector<Cut>> find_cuts(const std::vector<Piece>& pieces,
                                   std::size_t models,
                                   const Keep& keep,
                                   int threads);

// Sets what is cut to 0; `flat` is the index of the first.
void apply(const Cut& cut, std::uint64_t flat, std::span<double> tau);

}  // namespace ration::merge
