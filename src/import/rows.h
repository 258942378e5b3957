#pragma once

// Rows with named cells that arrive one after another, as JSON objects and event files give them,
// made into a table: columns stand in the order in which they first appear, missing cells are
// empty.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "fit/csv.h"

namespace ration::import {

using Members = std::vector<std::pair<std::string, std::string>>;

class RowTable {
 public:
  explicit RowTable(std::string file) { csv_.file = std::move(file); }

  // `line` 0 where the row has no place in a file of lines. A name given twice keeps the later.
  void add(const Members& members, int line = 0, std::string raw = {});
  fit::Csv finish() &&;

 private:
  fit::Csv csv_;
  std::map<std::string, std::size_t> column_of_;
};

// Members of a JSON object by dotted name. {"value": x} (and "desc") around a value is taken off,
// as the configurations of Weights & Biases have it; members under "_wandb" and lists are left out;
// a text under "config", "summary" or "summaryMetrics" that is an object itself is opened.
void flatten(const Json& value, const std::string& name, Members& members);

// JSON, or what Python prints and writes in its place: {'a': 1, 'b': None}, NaN, Infinity. Numbers
// that JSON lacks become texts, so that a cell says what it held. Errors are those of parse_json.
Result<Json> parse_printed(std::string_view text, const std::string& file);

// The same where it is an object, else null. The documented export of Weights & Biases writes such
// cells.
Json parse_printed_object(std::string_view text);

}  // namespace ration::import
