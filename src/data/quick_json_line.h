#pragma once

// The usual lines of JSONL files, read at the speed of memory: runs of letters are copied whole,
// where a JSON library takes byte after byte.

#include <optional>

#include "data/json_line.h"

namespace ration::data {

// What read_json_line finds in the line, or nothing where that is not obvious: in what may not be
// JSON, in numbers with an exponent or more than 18 digits, in half a surrogate pair.
std::optional<std::variant<JsonText, JsonLineProblem>> quick_json_line(std::string_view line,
                                                                       const JsonFields& fields);

}  // namespace ration::data
