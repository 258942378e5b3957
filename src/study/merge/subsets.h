#pragma once

// Which models are merged together: subsets of the corpora, as many of each size.

#include <cstdint>
#include <span>
#include <vector>

namespace ration::study {

struct MergeSubset {
  std::int64_t size = 0;             // T
  std::size_t number = 0;            // of its size, from 0
  std::vector<std::size_t> corpora;  // ascending
};

// Of each size up to `corpora.size()`, `count` distinct subsets of `corpora` drawn at random, or
// all, in lexicographic order, where there are no more. A size's draw does not depend on the other
// sizes.
std::vector<MergeSubset> merge_subsets(std::span<const std::size_t> corpora,
                                       std::span<const std::int64_t> sizes,
                                       std::int64_t count,
                                       std::uint64_t seed);

}  // namespace ration::study
