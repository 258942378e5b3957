// Parquet, version 1 of the format: row groups of column chunks, and behind them all a description
// in Thrift. A chunk is one data page, for texts behind a page with the distinct ones. Numbers of
// fields, types and encodings are those of the format's own parquet.thrift.

#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "tables/thrift.h"
#include "tables/writers.h"

namespace ration::tables {
namespace {

static_assert(std::endian::native == std::endian::little, "Parquet's numbers are little-endian");

constexpr std::size_t kGroupRows = 1U << 16;
constexpr std::size_t kGroupBytes = 32U << 20;
constexpr std::string_view kMagic = "PAR1";

constexpr std::int32_t kPlain = 0;
constexpr std::int32_t kRunLength = 3;
constexpr std::int32_t kDictionary = 8;
constexpr std::int32_t kDataPage = 0;
constexpr std::int32_t kDictionaryPage = 2;
constexpr std::int32_t kUncompressed = 0;
constexpr std::int32_t kOptional = 1;
constexpr std::int32_t kUtf8 = 0;

std::int32_t physical_type(Type type) {
  switch (type) {
    case Type::whole:
      return 2;  // INT64
    case Type::real:
      return 5;  // DOUBLE
    case Type::text:
      break;
  }
  return 6;  // BYTE_ARRAY
}

template <class Number>
void append_number(std::string& bytes, Number value) {
  char buffer[sizeof value];
  std::memcpy(buffer, &value, sizeof value);
  bytes.append(buffer, sizeof value);
}

// Equal neighbours as one run: (count << 1), then the value in `width` bytes.
class RunLengths {
 public:
  explicit RunLengths(std::size_t width) : width_(width) {}
  void add(std::uint32_t value) {
    if (count_ > 0 && value != value_) flush();
    value_ = value;
    ++count_;
  }
  std::string finished() {
    flush();
    return std::move(bytes_);
  }

 private:
  void flush() {
    if (count_ == 0) return;
    append_varint(bytes_, count_ << 1);
    for (std::size_t i = 0; i < width_; ++i) bytes_ += static_cast<char>(value_ >> (8 * i));
    count_ = 0;
  }

  std::string bytes_;
  std::size_t width_;
  std::uint32_t value_ = 0;
  std::uint64_t count_ = 0;
};

std::string page(std::int32_t type, int field, const ThriftStruct& header, std::string_view body) {
  ThriftStruct page;
  page.integer(1, type)
      .integer(2, static_cast<std::int32_t>(body.size()))
      .integer(3, static_cast<std::int32_t>(body.size()))
      .structure(field, header);
  return page.finished() + std::string(body);
}

// The cells of one column in the present row group.
class Chunk {
 public:
  explicit Chunk(Column column) : column_(std::move(column)) {}

  // About how many bytes more are held.
  std::size_t add(const Cell& cell) {
    ++rows_;
    const auto* real = std::get_if<double>(&cell);
    const bool present = cell.index() != 0 && !(real != nullptr && std::isnan(*real));
    present_.add(present ? 1 : 0);
    if (!present) return 0;
    if (real != nullptr) {
      append_number(values_, *real);
    } else if (const auto* whole = std::get_if<std::int64_t>(&cell)) {
      append_number(values_, *whole);
    } else {
      return add_text(std::get<std::string>(cell));
    }
    return sizeof(double);
  }

  // The chunk's bytes, its description for a file in which it stands at `offset`, and an empty
  // chunk afterwards.
  std::pair<std::string, ThriftStruct> finish(std::int64_t offset) {
    const bool text = column_.type == Type::text;
    std::string bytes;
    if (text) {
      ThriftStruct header;
      header.integer(1, static_cast<std::int32_t>(places_.size())).integer(2, kPlain);
      bytes = page(kDictionaryPage, 7, header, values_);
    }
    const auto data_offset = offset + static_cast<std::int64_t>(bytes.size());
    bytes += data_page();
    ThriftStruct description;
    description.integer(1, physical_type(column_.type))
        .integers(
            2,
            text ? std::vector{kPlain, kRunLength, kDictionary} : std::vector{kPlain, kRunLength})
        .texts(3, {column_.name})
        .integer(4, kUncompressed)
        .long_integer(5, static_cast<std::int64_t>(rows_))
        .long_integer(6, static_cast<std::int64_t>(bytes.size()))
        .long_integer(7, static_cast<std::int64_t>(bytes.size()))
        .long_integer(9, data_offset);
    if (text) description.long_integer(11, offset);
    ThriftStruct chunk;
    chunk.long_integer(2, offset).structure(3, description);
    *this = Chunk(std::move(column_));
    return {std::move(bytes), std::move(chunk)};
  }

  const Column& column() const { return column_; }

 private:
  std::size_t add_text(const std::string& text) {
    const auto [place, fresh] = places_.emplace(text, static_cast<std::uint32_t>(places_.size()));
    indices_.push_back(place->second);
    if (!fresh) return sizeof(std::uint32_t);
    append_number(values_, static_cast<std::uint32_t>(text.size()));
    values_ += text;
    return 2 * text.size() + 64;  // here and in the map
  }

  std::string data_page() {
    const std::string levels = present_.finished();
    std::string body;
    append_number(body, static_cast<std::uint32_t>(levels.size()));
    body += levels;
    if (column_.type == Type::text) {
      const std::size_t bits =
          std::max<std::size_t>(1, std::bit_width(std::max<std::size_t>(places_.size(), 1) - 1));
      RunLengths indices((bits + 7) / 8);
      for (const std::uint32_t index : indices_) indices.add(index);
      body += static_cast<char>(bits);
      body += indices.finished();
    } else {
      body += values_;
    }
    ThriftStruct header;
    header.integer(1, static_cast<std::int32_t>(rows_))
        .integer(2, column_.type == Type::text ? kDictionary : kPlain)
        .integer(3, kRunLength)
        .integer(4, kRunLength);
    return page(kDataPage, 5, header, body);
  }

  Column column_;
  std::size_t rows_ = 0;
  RunLengths present_{1};
  std::string values_;  // of numbers: in order; of texts: the distinct ones
  std::unordered_map<std::string, std::uint32_t> places_;
  std::vector<std::uint32_t> indices_;
};

class ParquetWriter final : public Writer {
 public:
  ParquetWriter(std::vector<Column> columns, Output output) : output_(std::move(output)) {
    for (Column& column : columns) chunks_.emplace_back(std::move(column));
  }

  Result<void> add(const Row& row) override {
    for (std::size_t i = 0; i < row.size(); ++i) group_bytes_ += chunks_[i].add(row[i]);
    ++group_rows_;
    return group_rows_ < kGroupRows && group_bytes_ < kGroupBytes ? Result<void>() : end_group();
  }

  Result<void> finish() override {
    if (group_rows_ > 0)
      if (Result<void> done = end_group(); !done) return done;
    if (Result<void> done = begin(); !done) return done;  // of a table without rows
    const std::string footer = description().finished();
    std::string bytes = footer;
    append_number(bytes, static_cast<std::uint32_t>(footer.size()));
    bytes += kMagic;
    return write(bytes);
  }

 private:
  Result<void> begin() { return written_ == 0 ? write(kMagic) : Result<void>(); }

  Result<void> end_group() {
    if (Result<void> done = begin(); !done) return done;
    const std::int64_t start = written_;
    std::vector<ThriftStruct> columns;
    for (Chunk& chunk : chunks_) {
      auto [bytes, described] = chunk.finish(written_);
      if (Result<void> done = write(bytes); !done) return done;
      columns.push_back(std::move(described));
    }
    ThriftStruct group;
    group.structures(1, columns)
        .long_integer(2, written_ - start)
        .long_integer(3, static_cast<std::int64_t>(group_rows_));
    groups_.push_back(std::move(group));
    rows_ += static_cast<std::int64_t>(group_rows_);
    group_rows_ = group_bytes_ = 0;
    return {};
  }

  ThriftStruct description() const {
    ThriftStruct root;
    root.text(4, "schema").integer(5, static_cast<std::int32_t>(chunks_.size()));
    std::vector<ThriftStruct> schema = {root};
    for (const Chunk& chunk : chunks_) {
      const Column& column = chunk.column();
      ThriftStruct& element = schema.emplace_back();
      element.integer(1, physical_type(column.type)).integer(3, kOptional).text(4, column.name);
      if (column.type == Type::text) element.integer(6, kUtf8);
    }
    ThriftStruct file;
    file.integer(1, 1)
        .structures(2, schema)
        .long_integer(3, rows_)
        .structures(4, groups_)
        .text(6, "ration");
    return file;
  }

  Result<void> write(std::string_view bytes) {
    written_ += static_cast<std::int64_t>(bytes.size());
    return output_(bytes);
  }

  Output output_;
  std::vector<Chunk> chunks_;
  std::vector<ThriftStruct> groups_;
  std::size_t group_rows_ = 0;
  std::size_t group_bytes_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t written_ = 0;
};

}  // namespace

std::unique_ptr<Writer> make_parquet_writer(std::vector<Column> columns, Output output) {
  return std::make_unique<ParquetWriter>(std::move(columns), std::move(output));
}

}  // namespace ration::tables
