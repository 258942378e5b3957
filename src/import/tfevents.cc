#include "import/tfevents.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <optional>

#include "base/hash.h"
#include "import/wire.h"

namespace ration::import {
namespace {

// The checksum of a checksum has no strength, so the format turns and shifts it.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

// 3.1 logged as float32 is 3.0999999046…: its fewest digits are what the trainer meant.
double widen(float value) {
  char digits[32];
  const auto written = std::to_chars(digits, digits + sizeof digits, value);
  double wide = value;
  std::from_chars(digits, written.ptr, wide);
  return wide;
}

double from_bfloat16(std::uint16_t bits) {
  return widen(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
}

double from_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1F;
  const std::uint32_t fraction = bits & 0x3FF;
  const float magnitude =
      exponent == 0
          ? static_cast<float>(fraction) / 16777216.0F  // 2^24: numbers without a leading one
          : std::bit_cast<float>((exponent == 31 ? 0xFFU : exponent + 112) << 23 | fraction << 13);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
}

// Kinds of elements, as TensorFlow numbers them; others hold no scalar.
enum Element : std::uint64_t {
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kInt64 = 9,
  kBfloat16 = 14,
  kHalf = 19
};

// One element as raw little-endian bytes.
std::optional<double> element(std::uint64_t type, std::string_view bytes) {
  const auto sixteen = [&] {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) |
                                      static_cast<unsigned char>(bytes[1]) << 8);
  };
  if (type == kFloat && bytes.size() == 4)
    return widen(std::bit_cast<float>(little_endian32(bytes)));
  if (type == kDouble && bytes.size() == 8) return std::bit_cast<double>(little_endian64(bytes));
  if (type == kInt32 && bytes.size() == 4) return static_cast<std::int32_t>(little_endian32(bytes));
  if (type == kInt64 && bytes.size() == 8)
    return static_cast<double>(static_cast<std::int64_t>(little_endian64(bytes)));
  if (type == kBfloat16 && bytes.size() == 2) return from_bfloat16(sixteen());
  if (type == kHalf && bytes.size() == 2) return from_half(sixteen());
  return std::nullopt;
}

// The number in field 5 (floats), 6 (doubles), 7, 10 (integers) or 13 (16 bits) of a tensor, packed
// or not.
std::optional<double> listed_element(std::uint64_t type, const WireField& field) {
  const bool fixed = field.number == 5 || field.number == 6;
  if (fixed && field.shape == WireField::Shape::bytes) return element(type, field.bytes);
  if (field.number == 5 && field.shape == WireField::Shape::fixed32) return widen(field.as_float());
  if (field.number == 6 && field.shape == WireField::Shape::fixed64) return field.as_double();
  std::uint64_t bits = field.integer;
  if (field.shape == WireField::Shape::bytes) {
    WireReader packed(field.bytes);
    const std::optional<std::uint64_t> first = packed.varint();
    if (!first || !packed.empty()) return std::nullopt;
    bits = *first;
  } else if (field.shape != WireField::Shape::varint) {
    return std::nullopt;
  }
  if (type == kBfloat16) return from_bfloat16(static_cast<std::uint16_t>(bits));
  if (type == kHalf) return from_half(static_cast<std::uint16_t>(bits));
  return static_cast<double>(static_cast<std::int64_t>(bits));
}

// TensorProto: 1 type, 2 shape, 4 raw bytes, the rest lists by type. A tensor of one element, or
// nothing.
std::optional<double> scalar_of_tensor(std::string_view message, bool& damaged) {
  std::uint64_t type = 0;
  std::vector<WireField> lists;
  std::optional<std::string_view> content;
  WireReader reader(message);
  while (const std::optional<WireField> field = reader.next()) {
    if (field->number == 1)
      type = field->integer;
    else if (field->number == 4 && field->shape == WireField::Shape::bytes)
      content = field->bytes;
    else if (field->number >= 5 && field->number <= 13)
      lists.push_back(*field);
  }
  damaged = damaged || reader.damaged();
  if (content && !content->empty()) return element(type, *content);
  const bool number = type == kFloat || type == kDouble || type == kInt32 || type == kInt64 ||
                      type == kBfloat16 || type == kHalf;
  return number && lists.size() == 1 ? listed_element(type, lists.front()) : std::nullopt;
}

// Summary.Value: 1 tag, 2 simple_value, 8 tensor.
void read_value(std::string_view message, Scalar scalar, EventFile& events, bool& damaged) {
  std::optional<double> value;
  WireReader reader(message);
  while (const std::optional<WireField> field = reader.next()) {
    if (field->number == 1 && field->shape == WireField::Shape::bytes)
      scalar.tag = field->bytes;
    else if (field->number == 2 && field->shape == WireField::Shape::fixed32)
      value = widen(field->as_float());
    else if (field->number == 8 && field->shape == WireField::Shape::bytes)
      value = scalar_of_tensor(field->bytes, damaged);
  }
  damaged = damaged || reader.damaged();
  if (!value || scalar.tag.empty()) return;
  scalar.value = *value;
  events.scalars.push_back(std::move(scalar));
}

// Event: 1 wall time, 2 step, 5 summary, whose values are its field 1. False for bytes that are
// none.
bool read_event(std::string_view message, EventFile& events) {
  Scalar scalar;
  std::vector<std::string_view> summaries;
  WireReader reader(message);
  while (const std::optional<WireField> field = reader.next()) {
    if (field->number == 1 && field->shape == WireField::Shape::fixed64)
      scalar.wall_s = field->as_double();
    else if (field->number == 2 && field->shape == WireField::Shape::varint)
      scalar.step = static_cast<std::int64_t>(field->integer);
    else if (field->number == 5 && field->shape == WireField::Shape::bytes)
      summaries.push_back(field->bytes);
  }
  bool damaged = reader.damaged();
  for (const std::string_view summary : summaries) {
    WireReader values(summary);
    while (const std::optional<WireField> field = values.next())
      if (field->number == 1 && field->shape == WireField::Shape::bytes)
        read_value(field->bytes, scalar, events, damaged);
    damaged = damaged || values.damaged();
  }
  return !damaged;
}

Error damaged_at(const std::string& file, std::size_t offset, const std::string& what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}: {} at byte {}", file, what, offset),
          .hint = "copy the file again, or leave it out",
          .where = SourceRef{.file = file}};
}

}  // namespace

Result<EventFile> read_events(std::string_view bytes, const std::string& file) {
  constexpr std::size_t kHead = 12, kTail = 4;
  EventFile events;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    events.torn_bytes = rest.size();
    if (rest.size() < kHead) return events;
    if (little_endian32(rest.substr(8)) != masked_crc(rest.substr(0, 8)))
      return damaged_at(file, at, "wrong CRC of a record's length");
    const std::uint64_t length = little_endian64(rest);
    if (length > rest.size() - kHead || rest.size() - kHead - length < kTail) return events;
    const std::string_view message = rest.substr(kHead, static_cast<std::size_t>(length));
    if (little_endian32(rest.substr(kHead + message.size())) != masked_crc(message))
      return damaged_at(file, at, "wrong CRC of the record");
    if (!read_event(message, events)) return damaged_at(file, at, "the record is no event");
    ++events.records;
    at += kHead + message.size() + kTail;
  }
  events.torn_bytes = 0;
  return events;
}

}  // namespace ration::import
