#pragma once

// The best one-to-one map of rows to columns. Internal to the room.

#include <cstdint>
#include <span>

namespace ration::region {

// The largest sum of entries of `counts` [rows, columns] of which no two share a row or a column:
// the Hungarian method with potentials (Kuhn 1955, Munkres 1957), O(n^3) of the longer side.
std::int64_t best_assignment(std::span<const std::int64_t> counts,
                             std::size_t rows,
                             std::size_t columns);

}  // namespace ration::region
