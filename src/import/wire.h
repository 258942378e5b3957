#pragma once

// The wire format of protocol buffers, as far as reading a message field by field needs it: no
// schema, no copies. A message is a string of fields; each has a number and one of four shapes.
//
//   WireReader reader(message);
//   while (std::optional<WireField> field = reader.next())
//     if (field->number == 2) step = field->integer;
//   if (reader.damaged()) …

#include <cstdint>
#include <optional>
#include <string_view>

namespace ration::import {

struct WireField {
  enum class Shape { varint, fixed64, bytes, fixed32 };

  std::uint32_t number = 0;  // as the message's definition numbers it, from 1
  Shape shape = Shape::varint;
  std::uint64_t integer = 0;    // varint, fixed64 and fixed32: the bits
  std::string_view bytes = {};  // bytes: strings, messages, packed numbers; points into the message

  double as_double() const;  // of fixed64
  float as_float() const;    // of fixed32
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // The next field; nothing at the end, or where the bytes are no message (damaged() tells).
  std::optional<WireField> next();
  bool damaged() const { return damaged_; }

  // A bare varint, as packed fields hold them.
  std::optional<std::uint64_t> varint();
  bool empty() const { return rest_.empty(); }

 private:
  std::optional<WireField> fail();

  std::string_view rest_;
  bool damaged_ = false;
};

// Little-endian integers at the front of `bytes`, which holds at least 4 or 8.
std::uint32_t little_endian32(std::string_view bytes);
std::uint64_t little_endian64(std::string_view bytes);

}  // namespace ration::import
