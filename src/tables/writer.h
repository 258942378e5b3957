#pragma once

// Writes tables as files that other programs read.
//
//   auto writer = tables::make_writer(tables::Format::csv, columns, output);
//   for (const tables::Row& row : rows)
//     if (Result<void> done = writer->add(row); !done) return done;
//   if (Result<void> done = writer->finish(); !done) return done;
//
// csv: RFC 4180, one heading. A text that a spreadsheet would take for a formula (= + - @ in front)
// gets a ' before it. jsonl: one object a line; no value is null, infinities are "inf" and "-inf".
// parquet: format version 1, uncompressed; every column is optional, texts are UTF-8 with a
// dictionary. Memory: at most 64 Ki rows or about 32 MiB, however long the table. Errors are those
// of `output`.

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tables/rows.h"

namespace ration::tables {

enum class Format { csv, jsonl, parquet };

// Takes the file's bytes in order.
using Output = std::function<Result<void>(std::string_view bytes)>;

class Writer {
 public:
  virtual ~Writer() = default;
  virtual Result<void> add(const Row& row) = 0;  // one cell a column, in their order
  virtual Result<void> finish() = 0;             // once, after the last row
};

std::unique_ptr<Writer> make_writer(Format format, std::vector<Column> columns, Output output);

}  // namespace ration::tables
