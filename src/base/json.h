#pragma once

// JSON as the whole project uses it: nlohmann's values, parsed with the place of a mistake, written
// canonically where bytes matter (run identity, manifests).

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ration {

using Json = nlohmann::json;

// Parses one JSON document. An error names `file`, line and column. Depth beyond 64 is refused.
Result<Json> parse_json(std::string_view text, const std::string& file);

// Canonical text: keys sorted by bytes, no blanks, integers without fraction, doubles in the fewest
// characters that read back the same (plain notation where it is no longer than the one with an
// exponent; a whole double below 2^53 is written as an integer, -0 as 0). NaN and infinities are an
// error.
Result<std::string> canonical_json(const Json& value);

}  // namespace ration
