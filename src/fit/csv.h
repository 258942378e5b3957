#pragma once

// Comma-separated text with one header row, as the table of runs arrives: cells that know their
// place. Quotes as in RFC 4180 ("" inside quotes is a quote, and lines may break there); `#` begins
// a comment line, blank lines are skipped, a byte-order mark and CRLF are taken.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::fit {

struct CsvCell {
  std::string text;  // without quotes and surrounding blanks
  int column = 1;    // of its first character in the line, from 1
};

struct CsvRow {
  int line = 0;  // in the file, from 1; the first of several
  std::string raw;
  std::vector<CsvCell> cells;
};

struct Csv {
  std::string file;
  CsvRow header;
  std::vector<CsvRow> rows;

  std::vector<std::string> names() const;
  // The column of that name, or -1.
  int find(std::string_view name) const;
  SourceRef place(const CsvRow& row, std::size_t cell) const;
};

// An error lists every row whose number of cells differs from the header's.
Result<Csv> parse_csv(std::string_view text, const std::string& file);

// A cell as text, in quotes where it needs them.
std::string csv_cell(std::string_view text);

}  // namespace ration::fit
