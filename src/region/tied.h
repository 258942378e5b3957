#pragma once

// Tensors that are stored under two names. Internal to the room.

#include <vector>

#include "merge/layout.h"

namespace ration::region {

// For each tensor of a layout the place of the one that stands for it: itself, unless two matrices
// of one shape hold the same bytes in the base and in every model. Of such, an embedding stands for
// the rest, else the first.
std::vector<std::size_t> counted_as(const merge::Layout& layout);

}  // namespace ration::region
