#pragma once

// What a study leaves behind: <store>/studies/<name>/ with one CSV file a table, and page.html
// with text, tables and figures. Files appear whole; a repeated study replaces them.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "report/page.h"
#include "tables/rows.h"

namespace ration::study {

struct DataTable {
  std::string name;  // of the file, without ending
  std::vector<tables::Column> columns;
  std::vector<tables::Row> rows;
};

Path study_folder(const Path& store, const std::string& name);

// Writes <folder>/<table>.csv. ErrorKind::resource where that fails.
Result<void> write_tables(Files& files, const Path& folder, std::span<const DataTable> tables);

// A table of a page out of one of data: numbers to `digits` significant digits.
report::Table page_table(const DataTable& table, int digits = 4);

// The same table in Markdown.
std::string markdown(const report::Table& table);

// "0.120 [0.080, 0.160]"; "–" where there is no number.
std::string with_interval(double value, double low, double high, int decimals = 3);

}  // namespace ration::study
