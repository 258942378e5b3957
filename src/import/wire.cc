#include "import/wire.h"

#include <bit>

namespace ration::import {

std::uint32_t little_endian32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::uint64_t little_endian64(std::string_view bytes) {
  return static_cast<std::uint64_t>(little_endian32(bytes.substr(4))) << 32 |
         little_endian32(bytes);
}

double WireField::as_double() const { return std::bit_cast<double>(integer); }

float WireField::as_float() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(integer));
}

std::optional<WireField> WireReader::fail() {
  damaged_ = true;
  rest_ = {};
  return std::nullopt;
}

std::optional<std::uint64_t> WireReader::varint() {
  constexpr std::size_t kLongest = 10;  // bytes of 7 bits for 64
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kLongest && i < rest_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(rest_[i]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      rest_.remove_prefix(i + 1);
      return value;
    }
  }
  damaged_ = true;
  rest_ = {};
  return std::nullopt;
}

std::optional<WireField> WireReader::next() {
  if (rest_.empty()) return std::nullopt;
  const std::optional<std::uint64_t> key = varint();
  if (!key || *key >> 3 == 0 || *key >> 32 != 0) return fail();
  WireField field{.number = static_cast<std::uint32_t>(*key >> 3)};
  switch (*key & 7) {
    case 0: {
      const std::optional<std::uint64_t> value = varint();
      if (!value) return std::nullopt;
      field.integer = *value;
      return field;
    }
    case 1:
      if (rest_.size() < 8) return fail();
      field.shape = WireField::Shape::fixed64;
      field.integer = little_endian64(rest_);
      rest_.remove_prefix(8);
      return field;
    case 2: {
      const std::optional<std::uint64_t> length = varint();
      if (!length || *length > rest_.size()) return fail();
      field.shape = WireField::Shape::bytes;
      field.bytes = rest_.substr(0, static_cast<std::size_t>(*length));
      rest_.remove_prefix(field.bytes.size());
      return field;
    }
    case 5:
      if (rest_.size() < 4) return fail();
      field.shape = WireField::Shape::fixed32;
      field.integer = little_endian32(rest_);
      rest_.remove_prefix(4);
      return field;
    default:  // groups, which nothing has written for a decade
      return fail();
  }
}

}  // namespace ration::import
