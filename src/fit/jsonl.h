#pragma once

// Runs as JSON Lines: one object a line, as experiment trackers export them. Nested objects become
// columns joined by dots ("config.params", "summary.loss"), null and missing members empty cells,
// lists are left out; columns stand in the order in which they first appear.

#include "fit/csv.h"

namespace ration::fit {

// Errors name every line that is not a JSON object.
Result<Csv> parse_jsonl(std::string_view text, const std::string& file);

// A table by its name: .jsonl and .ndjson are JSON Lines, all others comma-separated.
Result<Csv> parse_table(std::string_view text, const std::string& file);

}  // namespace ration::fit
