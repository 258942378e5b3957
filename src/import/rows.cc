#include "import/rows.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace ration::import {
namespace {

bool holds_an_object(std::string_view name) {
  const std::string_view last = name.substr(name.find_last_of('.') + 1);
  return last == "config" || last == "summary" || last == "summaryMetrics";
}

// {"value": 3, "desc": null} -> 3; other values as they are.
const Json& unwrapped(const Json& value) {
  const bool wrapped = value.is_object() && value.contains("value") &&
                       (value.size() == 1 || (value.size() == 2 && value.contains("desc")));
  return wrapped ? value["value"] : value;
}

// A quoted text of Python at the front of `rest` as JSON.
std::string take_text(std::string_view& rest) {
  const char quote = rest.front();
  std::string text = "\"";
  rest.remove_prefix(1);
  while (!rest.empty() && rest.front() != quote) {
    if (rest.front() == '\\' && rest.size() > 1) {
      if (rest[1] == '\'')
        text += '\'';
      else
        text.append(rest.substr(0, 2));
      rest.remove_prefix(2);
      continue;
    }
    if (rest.front() == '"') text += '\\';
    text += rest.front();
    rest.remove_prefix(1);
  }
  rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
  return text + '"';
}

struct Word {
  std::string_view python, json;
};
// Numbers that JSON lacks become texts, so that the cell says what it held.
constexpr std::array<Word, 7> kWords = {{{"True", "true"},
                                         {"False", "false"},
                                         {"None", "null"},
                                         {"nan", "\"nan\""},
                                         {"inf", "\"inf\""},
                                         {"NaN", "\"nan\""},
                                         {"Infinity", "\"inf\""}}};

}  // namespace

void RowTable::add(const Members& members, int line, std::string raw) {
  fit::CsvRow row{line, std::move(raw), {}};
  for (const auto& [name, cell] : members) {
    const auto [place, is_new] = column_of_.emplace(name, column_of_.size());
    if (is_new) csv_.header.cells.push_back({name, 0});
    row.cells.resize(std::max(row.cells.size(), place->second + 1), {"", 0});
    row.cells[place->second] = {cell, 0};
  }
  csv_.rows.push_back(std::move(row));
}

fit::Csv RowTable::finish() && {
  for (fit::CsvRow& row : csv_.rows) row.cells.resize(csv_.header.cells.size(), {"", 0});
  return std::move(csv_);
}

void flatten(const Json& wrapped, const std::string& name, Members& members) {
  const Json& value = unwrapped(wrapped);
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items())
      if (key != "_wandb") flatten(inner, name.empty() ? key : name + "." + key, members);
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    const Json inner = holds_an_object(name) ? parse_printed_object(text) : Json();
    if (inner.is_object())
      flatten(inner, name, members);
    else
      members.emplace_back(name, text);
  } else if (!value.is_array()) {
    members.emplace_back(name, value.is_null() ? "" : value.dump());
  }
}

Result<Json> parse_printed(std::string_view text, const std::string& file) {
  Result<Json> strict = parse_json(text, file);
  if (strict) return strict;
  std::string translated;
  bool changed = false;
  for (std::string_view rest = text; !rest.empty();) {
    if (rest.front() == '\'' || rest.front() == '"') {
      changed = changed || rest.front() == '\'';
      translated += take_text(rest);
      continue;
    }
    const auto word = std::find_if(kWords.begin(), kWords.end(), [&](const Word& w) {
      return rest.starts_with(w.python) &&
             (rest.size() == w.python.size() ||
              std::isalnum(static_cast<unsigned char>(rest[w.python.size()])) == 0);
    });
    if (word != kWords.end()) {
      if (translated.ends_with('-')) translated.pop_back();  // -inf
      translated += word->json;
      rest.remove_prefix(word->python.size());
      changed = true;
      continue;
    }
    const char c = rest.front();
    changed = changed || c == '(';
    translated += c == '(' ? '[' : c == ')' ? ']' : c;
    rest.remove_prefix(1);
  }
  if (!changed) return strict;
  Result<Json> json = parse_json(translated, file);
  return json ? json : strict;
}

Json parse_printed_object(std::string_view text) {
  if (!text.starts_with('{')) return {};
  Result<Json> json = parse_printed(text, "");
  return json && json->is_object() ? std::move(*json) : Json();
}

}  // namespace ration::import
