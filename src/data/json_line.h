#pragma once

// One line of a JSONL file: an object one of whose members is the text of a document.

#include <string>
#include <string_view>
#include <variant>

namespace ration::data {

struct JsonFields {
  std::string text = "text";  // the member that holds the document
  std::string id = {};        // the member that names it, a string or a whole number; empty = none
};

struct JsonText {
  std::string text;
  std::string id;  // empty unless asked for
};

enum class JsonLineProblem { invalid, no_text };  // not one JSON object; no string of that name

// The members asked for, at the first level of the object. The last of several members of one name
// counts. A document without the id asked for has none.
std::variant<JsonText, JsonLineProblem> read_json_line(std::string_view line,
                                                       const JsonFields& fields);

}  // namespace ration::data
