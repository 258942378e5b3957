#pragma once

// Memory of large mapped files.

#include <cstdint>

#include "base/files.h"

namespace ration {

// Lets go of the whole pages within bytes [begin, end) of a mapping: they count as memory of this
// process no more, and are read again when touched. Nothing for mappings that are not real ones.
void release_pages(const MappedFile& file, std::uint64_t begin, std::uint64_t end);

}  // namespace ration
