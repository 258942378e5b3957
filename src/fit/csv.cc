#include "fit/csv.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::fit {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes one quoted cell off the front of `rest`; the text between the quotes.
std::string take_quoted(std::string_view& rest) {
  std::string text;
  rest.remove_prefix(1);
  while (!rest.empty()) {
    if (rest.starts_with("\"\"")) {
      text += '"';
      rest.remove_prefix(2);
    } else if (rest.front() == '"') {
      rest.remove_prefix(1);
      break;
    } else {
      text += rest.front();
      rest.remove_prefix(1);
    }
  }
  return text;
}

std::vector<CsvCell> split(std::string_view line) {
  std::vector<CsvCell> cells;
  std::string_view rest = line;
  while (true) {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
    const int column = static_cast<int>(line.size() - rest.size()) + 1;
    std::string text = rest.starts_with('"') ? take_quoted(rest) : std::string();
    const std::string_view tail = rest.substr(0, rest.find(','));
    text += trim(tail);
    cells.push_back({std::move(text), column});
    rest.remove_prefix(tail.size());
    if (rest.empty()) return cells;
    rest.remove_prefix(1);
  }
}

// Takes one row off the front: a line, or several where one ends inside quotes. A quote that is not
// closed within 64 KiB belongs to its line alone, so that one mistake does not hide the rest.
std::string_view take_row(std::string_view& text) {
  constexpr std::size_t kLongest = 1 << 16;
  bool at_start = true, inside = false;
  std::size_t length = std::min(text.size(), text.find('\n'));
  for (std::size_t i = 0; i < std::min(text.size(), kLongest); ++i) {
    const char c = text[i];
    if (c == '\n' && !inside) {
      length = i;
      break;
    }
    if (inside)
      inside = c != '"';  // "" leaves and enters again
    else if (c == '"')
      inside = at_start || text[i - 1] == '"';
    at_start = !inside && (c == ',' || (at_start && (c == ' ' || c == '\t')));
  }
  const std::string_view row = text.substr(0, length);
  text.remove_prefix(std::min(text.size(), length + 1));
  return row;
}

}  // namespace

std::vector<std::string> Csv::names() const {
  std::vector<std::string> names;
  for (const CsvCell& cell : header.cells) names.push_back(cell.text);
  return names;
}

int Csv::find(std::string_view name) const {
  for (std::size_t i = 0; i < header.cells.size(); ++i)
    if (header.cells[i].text == name) return static_cast<int>(i);
  return -1;
}

SourceRef Csv::place(const CsvRow& row, std::size_t cell) const {
  constexpr std::size_t kShown = 160;
  const int column = row.cells[cell].column;
  const bool fits = static_cast<std::size_t>(column) <= kShown;
  return {file, row.line, column, fits ? row.raw.substr(0, kShown) : std::string()};
}

Result<Csv> parse_csv(std::string_view text, const std::string& file) {
  Csv csv{.file = file};
  std::vector<Error> problems;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int number = 1, next = 1; !text.empty(); number = next) {
    std::string_view line = take_row(text);
    next += 1 + static_cast<int>(std::count(line.begin(), line.end(), '\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim(line).empty() || line.starts_with('#')) continue;
    CsvRow row{number, std::string(line), split(line)};
    if (csv.header.cells.empty()) {
      csv.header = std::move(row);
    } else if (row.cells.size() != csv.header.cells.size()) {
      problems.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format(
               "{} cells where the header has {}", row.cells.size(), csv.header.cells.size()),
           .where = SourceRef{file, number, 0, row.raw.substr(0, 160)}});
    } else {
      csv.rows.push_back(std::move(row));
    }
  }
  if (csv.header.cells.empty())
    problems.push_back(
        {.kind = ErrorKind::input,
         .what = "no header row",
         .hint = "the first line names the columns: params,tokens,unique_tokens,loss",
         .where = SourceRef{.file = file}});
  if (problems.empty()) return csv;
  return combine(std::move(problems), fmt::format("{} cannot be read as a table", file));
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\n\r#") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace ration::fit
