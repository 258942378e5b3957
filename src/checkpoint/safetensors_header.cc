#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <cstring>

#include "base/json.h"

namespace ration::checkpoint {
namespace {

constexpr std::uint64_t kAlignment = 64;

// Bytes that are no UTF-8 become U+FFFD: a file name may hold any.
std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::optional<std::uint64_t> byte_count(const std::vector<std::uint64_t>& shape, DType dtype) {
  std::uint64_t count = item_bytes(dtype);
  for (const std::uint64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count)) return std::nullopt;
  return count;
}

std::string header_json(std::vector<TensorInfo>& layout, const Metadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += fmt::format("\"{}\":{},", kMetadata, dumped(metadata));
  std::uint64_t offset = 0;
  for (TensorInfo& tensor : layout) {
    tensor.begin = offset;
    tensor.end = offset += byte_count(tensor.shape, tensor.dtype).value_or(0);
    text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                        dumped(tensor.name),
                        name(tensor.dtype),
                        fmt::join(tensor.shape, ","),
                        tensor.begin,
                        tensor.end);
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  const std::uint64_t used = (kLengthBytes + text.size()) % kAlignment;
  if (used != 0) text.append(kAlignment - used, ' ');
  return text;
}

Result<std::string> begin_safetensors(std::vector<TensorInfo>& layout,
                                      const Path& path,
                                      const Metadata& metadata) {
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const TensorInfo& tensor = layout[i];
    const bool repeated = i > 0 && tensor.name <= layout[i - 1].name;
    if (repeated || tensor.name == kMetadata || !byte_count(tensor.shape, tensor.dtype))
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("tensor \"{}\" for {} repeats a name or has a wrong size",
                                       tensor.name,
                                       path.string())};
  }
  const std::string text = header_json(layout, metadata);
  std::string bytes(kLengthBytes, '\0');
  const std::uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

}  // namespace ration::checkpoint
