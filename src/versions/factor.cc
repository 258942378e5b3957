#include "versions/factor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "merge/numbers.h"

namespace ration::versions {

void add_factor(const Factor& factor,
                const Layout& layout,
                std::uint64_t first,
                std::span<std::byte> numbers) {
  const std::uint64_t end = first + numbers.size() / layout.item_bytes;
  std::vector<double> sum(layout.columns);
  std::vector<std::byte> rounded(layout.columns * layout.item_bytes);
  for (std::uint64_t at = first; at < end;) {
    const std::uint64_t row = at / layout.columns;
    const std::uint64_t column = at - row * layout.columns;
    const std::uint64_t count = std::min(layout.columns - column, end - at);
    std::byte* const place = numbers.data() + (at - first) * layout.item_bytes;
    const std::span<double> part(sum.data(), count);
    merge::widen(*layout.dtype, place, 0, part);
    for (std::uint32_t k = 0; k < factor.rank; ++k) {
      const double u = factor.u[row * factor.rank + k];
      const float* const v = factor.v.data() + k * layout.columns + column;
      for (std::uint64_t j = 0; j < count; ++j) part[j] += u * static_cast<double>(v[j]);
    }
    merge::narrow(*layout.dtype, part, 0, rounded.data());
    // What a machine makes of NaN is its own affair.
    for (std::uint64_t j = 0; j < count; ++j)
      if (std::isfinite(part[j]))
        std::memcpy(place + j * layout.item_bytes,
                    rounded.data() + j * layout.item_bytes,
                    layout.item_bytes);
    at += count;
  }
}

}  // namespace ration::versions
