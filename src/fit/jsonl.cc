#include "fit/jsonl.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/json.h"

namespace ration::fit {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

void flatten(const Json& value, const std::string& name, Members& members) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items())
      flatten(inner, name.empty() ? key : name + "." + key, members);
  } else if (value.is_string()) {
    members.emplace_back(name, value.get<std::string>());
  } else if (!value.is_array()) {
    members.emplace_back(name, value.is_null() ? "" : value.dump());
  }
}

}  // namespace

Result<Csv> parse_jsonl(std::string_view text, const std::string& file) {
  Csv csv{.file = file};
  csv.header.line = 1;
  std::map<std::string, std::size_t> column_of;
  std::vector<Error> problems;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Result<Json> value = parse_json(line, file);
    if (!value || !value->is_object()) {
      problems.push_back({.kind = ErrorKind::input,
                          .what = "not a JSON object",
                          .where = SourceRef{file, number, 1, std::string(line.substr(0, 160))}});
      continue;
    }
    Members members;
    flatten(*value, "", members);
    CsvRow row{number, std::string(line), {}};
    for (const auto& [name, cell] : members) {
      const auto [place, is_new] = column_of.emplace(name, column_of.size());
      if (is_new) csv.header.cells.push_back({name, 1});
      row.cells.resize(std::max(row.cells.size(), place->second + 1));
      row.cells[place->second].text = cell;
    }
    csv.rows.push_back(std::move(row));
  }
  for (CsvRow& row : csv.rows) row.cells.resize(csv.header.cells.size());
  if (csv.rows.empty() && problems.empty())
    problems.push_back({.kind = ErrorKind::input,
                        .what = "no line holds a run",
                        .hint = "one JSON object a line: {\"params\": 1e8, \"tokens\": 2e9, …}",
                        .where = SourceRef{.file = file}});
  if (problems.empty()) return csv;
  return combine(std::move(problems), fmt::format("{} cannot be read as a table", file));
}

Result<Csv> parse_table(std::string_view text, const std::string& file) {
  const bool lines = file.ends_with(".jsonl") || file.ends_with(".ndjson");
  return lines ? parse_jsonl(text, file) : parse_csv(text, file);
}

}  // namespace ration::fit
