#pragma once

// Whether stored numbers are numbers.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace ration::checkpoint {

// The first element that is NaN or infinite; nothing where all are finite, or whole numbers.
std::optional<std::uint64_t> first_not_finite(DType dtype, std::span<const std::byte> bytes);

// ErrorKind::input with file, tensor and index of the first in byte-wise order of the tensors'
// names. Reads everything.
Result<void> check_finite(const Checkpoint& checkpoint);

}  // namespace ration::checkpoint
