#pragma once

// Matrices that changed by a matrix of low rank, as fine-tuning with adapters leaves them:
// parent + U V predicts them up to the last bits, which the blocks then store.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "versions/layout.h"

namespace ration::versions {

struct Factor {
  std::uint32_t rank = 0;
  std::vector<float> u;  // [rows, rank]
  std::vector<float> v;  // [rank, columns]
};

// Turns bytes of the parent, beginning at number `first` of the matrix, into the prediction: each
// number plus u[row] v[:, column], in float64, in the order of the rank, rounded once. The product
// of two float32 is exact in float64, so a fused multiply-add changes nothing, and every machine
// gives the same bits. NaN and infinity stay what they are.
void add_factor(const Factor& factor,
                const Layout& layout,
                std::uint64_t first,
                std::span<std::byte> numbers);

// Fills block `index` with the parent's bytes.
using ReadBlock = std::function<Result<void>(std::uint64_t index, std::span<std::byte> block)>;

// A factor of the difference between `plain` and its parent, if that is of low rank up to rounding:
// Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), algorithm 4.1 with 24
// columns. Only matrices of 64 rows and columns or more are tried, and a sample of theirs first.
Result<std::optional<Factor>> find_factor(std::span<const std::byte> plain,
                                          const Layout& layout,
                                          const ReadBlock& parent);

// The rank of such a factor, for two matrices of which neither lies in memory.
Result<std::optional<int>> find_rank(const Layout& layout,
                                     const ReadBlock& matrix,
                                     const ReadBlock& parent);

}  // namespace ration::versions
