#include "tables/thrift.h"

namespace ration::tables {
namespace {

// Type numbers of the protocol.
constexpr int kInt32 = 5;
constexpr int kInt64 = 6;
constexpr int kBinary = 8;
constexpr int kList = 9;
constexpr int kStruct = 12;

// Small numbers of either sign in few bytes: 0, -1, 1, -2, … are 0, 1, 2, 3, …
std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

void append_text(std::string& bytes, std::string_view text) {
  append_varint(bytes, text.size());
  bytes += text;
}

}  // namespace

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
}

// Field numbers of Parquet's structures rise by less than 16.
void ThriftStruct::begin(int field, int type) {
  bytes_ += static_cast<char>((field - last_field_) << 4 | type);
  last_field_ = field;
}

void ThriftStruct::begin_list(int field, std::size_t size, int type) {
  begin(field, kList);
  constexpr std::size_t kShort = 15;
  if (size < kShort) {
    bytes_ += static_cast<char>(size << 4 | static_cast<unsigned>(type));
  } else {
    bytes_ += static_cast<char>(kShort << 4 | static_cast<unsigned>(type));
    append_varint(bytes_, size);
  }
}

ThriftStruct& ThriftStruct::integer(int field, std::int32_t value) {
  begin(field, kInt32);
  append_varint(bytes_, zigzag(value));
  return *this;
}

ThriftStruct& ThriftStruct::long_integer(int field, std::int64_t value) {
  begin(field, kInt64);
  append_varint(bytes_, zigzag(value));
  return *this;
}

ThriftStruct& ThriftStruct::text(int field, std::string_view value) {
  begin(field, kBinary);
  append_text(bytes_, value);
  return *this;
}

ThriftStruct& ThriftStruct::structure(int field, const ThriftStruct& value) {
  begin(field, kStruct);
  bytes_ += value.finished();
  return *this;
}

ThriftStruct& ThriftStruct::integers(int field, const std::vector<std::int32_t>& values) {
  begin_list(field, values.size(), kInt32);
  for (const std::int32_t value : values) append_varint(bytes_, zigzag(value));
  return *this;
}

ThriftStruct& ThriftStruct::texts(int field, const std::vector<std::string>& values) {
  begin_list(field, values.size(), kBinary);
  for (const std::string& value : values) append_text(bytes_, value);
  return *this;
}

ThriftStruct& ThriftStruct::structures(int field, const std::vector<ThriftStruct>& values) {
  begin_list(field, values.size(), kStruct);
  for (const ThriftStruct& value : values) bytes_ += value.finished();
  return *this;
}

std::string ThriftStruct::finished() const { return bytes_ + '\0'; }

}  // namespace ration::tables
