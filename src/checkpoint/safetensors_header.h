#pragma once

// The beginning of a safetensors file, for those who write one.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace ration::checkpoint {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadata = "__metadata__";

// Nothing where it exceeds 64 bits.
std::optional<std::uint64_t> byte_count(const std::vector<std::uint64_t>& shape, DType dtype);

// The JSON of a header, in the order of `layout`, padded with blanks so that the data begins at a
// multiple of 64 bytes. Sets each tensor's begin and end. The sizes must be those of byte_count(),
// and names must not be repeated.
std::string header_json(std::vector<TensorInfo>& layout, const Metadata& metadata);

// Length and header of a file whose data follows in the order of `layout`, padded so that the data
// begins at a multiple of 64 bytes. Sets each tensor's begin and end. The layout must be sorted by
// name without repetition, else ErrorKind::internal that names `path`.
Result<std::string> begin_safetensors(std::vector<TensorInfo>& layout,
                                      const Path& path,
                                      const Metadata& metadata);

}  // namespace ration::checkpoint
