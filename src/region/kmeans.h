#pragma once

// k-means. Internal to the room.

#include <cstdint>
#include <span>
#include <vector>

namespace ration::region {

// The cluster of each of the points [points, dimensions], 0 … k - 1: the least sum of squared
// distances to the means of 50 seeded starts (k-means++, Arthur and Vassilvitskii 2007), the first
// of equal ones. Fewer clusters where fewer than k points differ.
std::vector<std::size_t> k_means(std::span<const double> points,
                                 std::size_t dimensions,
                                 std::size_t k,
                                 std::uint64_t seed);

}  // namespace ration::region
