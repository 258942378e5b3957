#pragma once

// What bytes are, as far as it helps to encode them.

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/dtype.h"

namespace ration::versions {

struct Layout {
  std::uint64_t bytes = 0;
  std::uint32_t item_bytes = 1;  // of a number: 1, 2, 4 or 8
  // Of a floating-point matrix, the kind for which a low-rank factor is looked for.
  std::optional<checkpoint::DType> dtype;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;

  bool operator==(const Layout&) const = default;
};

Layout layout_of(checkpoint::DType dtype, const std::vector<std::uint64_t>& shape);
Layout layout_of_bytes(std::uint64_t bytes);

// Objects are encoded in blocks, the last one shorter. A block holds whole numbers of every size,
// is large enough for zstd's tables and small enough that the blocks of all cores stay in cache.
constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;

inline std::uint64_t block_count(std::uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes;
}
inline std::uint64_t bytes_of_block(std::uint64_t bytes, std::uint64_t block) {
  const std::uint64_t begin = block * kBlockBytes;
  return bytes - begin < kBlockBytes ? bytes - begin : kBlockBytes;
}

}  // namespace ration::versions
