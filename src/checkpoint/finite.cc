#include "checkpoint/finite.h"

#include <fmt/format.h>

#include <cstring>

namespace ration::checkpoint {
namespace {

// NaN and infinity have all bits of the exponent set.
template <class Word>
std::optional<std::uint64_t> first_with(std::span<const std::byte> bytes, Word exponent) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(Word); ++i) {
    Word word;
    std::memcpy(&word, bytes.data() + i * sizeof(Word), sizeof(Word));
    if ((word & exponent) == exponent) return i;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> first_not_finite(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::f16:
      return first_with<std::uint16_t>(bytes, 0x7c00);
    case DType::bf16:
      return first_with<std::uint16_t>(bytes, 0x7f80);
    case DType::f32:
      return first_with<std::uint32_t>(bytes, 0x7f800000);
    case DType::f64:
      return first_with<std::uint64_t>(bytes, 0x7ff0000000000000);
    default:
      return std::nullopt;
  }
}

Result<void> check_finite(const Checkpoint& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const std::span<const std::byte> bytes = checkpoint.bytes(tensor);
    const std::optional<std::uint64_t> index = first_not_finite(tensor.dtype, bytes);
    checkpoint.release(tensor, 0, bytes.size());
    if (index)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{}: tensor \"{}\" is NaN or infinite at element {}",
                                       checkpoint.path().string(),
                                       tensor.name,
                                       *index),
                   .hint = "name a checkpoint from before training diverged"};
  }
  return {};
}

}  // namespace ration::checkpoint
