#include "study/output.h"

#include <fmt/format.h>

#include <cmath>

#include "tables/writer.h"

namespace ration::study {
namespace {

std::string page_cell(const tables::Cell& cell, int digits) {
  if (const double* number = std::get_if<double>(&cell))
    return std::isnan(*number) ? "–" : fmt::format("{:.{}g}", *number, digits);
  const std::string text = tables::text_of(cell);
  return text.empty() ? "–" : text;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (const char c : cell) line += c == '|' ? std::string("\\|") : std::string(1, c);
    line += " |";
  }
  return line + '\n';
}

}  // namespace

Path study_folder(const Path& store, const std::string& name) { return store / "studies" / name; }

Result<void> write_tables(Files& files, const Path& folder, std::span<const DataTable> tables) {
  if (Result<void> made = files.make_folders(folder); !made) return made;
  for (const DataTable& table : tables) {
    std::string text;
    const auto writer =
        tables::make_writer(tables::Format::csv, table.columns, [&](std::string_view bytes) {
          text += bytes;
          return Result<void>();
        });
    for (tables::Row row : table.rows) {
      for (tables::Cell& cell : row)
        if (const double* number = std::get_if<double>(&cell); number && std::isnan(*number))
          cell = std::monostate();  // what could not be measured has no value
      if (Result<void> added = writer->add(row); !added) return added;
    }
    if (Result<void> done = writer->finish(); !done) return done;
    if (Result<void> written = files.write_whole(folder / (table.name + ".csv"), text); !written)
      return written;
  }
  return {};
}

report::Table page_table(const DataTable& table, int digits) {
  report::Table page;
  for (const tables::Column& column : table.columns) page.header.push_back(column.name);
  for (const tables::Row& row : table.rows) {
    std::vector<std::string>& cells = page.rows.emplace_back();
    for (const tables::Cell& cell : row) cells.push_back(page_cell(cell, digits));
  }
  return page;
}

std::string markdown(const report::Table& table) {
  std::string text = markdown_row(table.header) + '|';
  for (std::size_t i = 0; i < table.header.size(); ++i) text += " --- |";
  text += '\n';
  for (const std::vector<std::string>& row : table.rows) text += markdown_row(row);
  return text;
}

std::string with_interval(double value, double low, double high, int decimals) {
  if (std::isnan(value)) return "–";
  const std::string number = fmt::format("{:.{}f}", value, decimals);
  if (std::isnan(low) || std::isnan(high)) return number;
  return fmt::format("{} [{:.{}f}, {:.{}f}]", number, low, decimals, high, decimals);
}

}  // namespace ration::study
