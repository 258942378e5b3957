#pragma once

// Thrift's compact protocol, as far as the metadata of a Parquet file needs it; private to the
// room. Fields of a structure are written in the order of their numbers.
//
//   ThriftStruct page;
//   page.integer(1, 0).structure(5, header);
//   std::string bytes = page.finished();

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ration::tables {

// Appends an unsigned number, seven bits a byte, lowest first.
void append_varint(std::string& bytes, std::uint64_t value);

class ThriftStruct {
 public:
  ThriftStruct& integer(int field, std::int32_t value);
  ThriftStruct& long_integer(int field, std::int64_t value);
  ThriftStruct& text(int field, std::string_view value);
  ThriftStruct& structure(int field, const ThriftStruct& value);
  ThriftStruct& integers(int field, const std::vector<std::int32_t>& values);
  ThriftStruct& texts(int field, const std::vector<std::string>& values);
  ThriftStruct& structures(int field, const std::vector<ThriftStruct>& values);

  std::string finished() const;  // with the mark of its end

 private:
  void begin(int field, int type);
  void begin_list(int field, std::size_t size, int type);

  std::string bytes_;
  int last_field_ = 0;
};

}  // namespace ration::tables
