#include "versions/layout.h"

#include "checkpoint/safetensors_header.h"

namespace ration::versions {

using checkpoint::DType;

Layout layout_of(DType dtype, const std::vector<std::uint64_t>& shape) {
  Layout layout;
  layout.bytes = checkpoint::byte_count(shape, dtype).value_or(0);
  // A complex number is a pair of f32.
  layout.item_bytes =
      dtype == DType::c64 ? 4 : static_cast<std::uint32_t>(checkpoint::item_bytes(dtype));
  const bool real = dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32;
  if (real && shape.size() == 2) {
    layout.dtype = dtype;
    layout.rows = shape[0];
    layout.columns = shape[1];
  }
  return layout;
}

Layout layout_of_bytes(std::uint64_t bytes) { return {.bytes = bytes}; }

}  // namespace ration::versions
