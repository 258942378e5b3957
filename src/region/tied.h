#pragma once

// Tensors that are stored under two names. Internal to the room.

#include <vector>

#include "merge/layout.h"

namespace ration::region {

// For each tensor of a layout the place of the one that stands for it: itself, unless two matrices
// of one shape hold the same bytes in the base and in every model, and either are an embedding and
// a head or were moved by some model: two matrices that began alike, with zeros for example, and
// never moved, are two. Of one tensor's names an embedding stands for the rest, else the first.
std::vector<std::size_t> counted_as(const merge::Layout& layout);

}  // namespace ration::region
