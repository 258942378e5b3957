#pragma once

// Tensors that both sides of a merge changed, computed by the operators of room `merge`. Internal
// to the room.

#include <span>
#include <vector>

#include "versions/source.h"
#include "versions/strategy.h"

namespace ration::versions {

// One tensor in three versions, of one dtype and shape.
struct Mix {
  ManifestTensor base;
  ManifestTensor ours;
  ManifestTensor theirs;
};

// The tensors, in the order of `mixes`, their bytes stored as deltas on either side. They lie in
// temporary files meanwhile. ErrorKind::input for NaN, infinity and what overflows, with the place.
Result<std::vector<ManifestTensor>> mix(const ObjectStore& store,
                                        std::span<const Mix> mixes,
                                        const Strategy& strategy,
                                        int threads);

}  // namespace ration::versions
