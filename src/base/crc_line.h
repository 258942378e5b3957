#pragma once

// Lines of append-only logs: one JSON object each, whose last member is a CRC-32C of all before it,
// so that a torn or damaged line is known as such.
//
//   std::string line = with_crc(R"({"seq":1})");  // {"seq":1,"crc":"xxxxxxxx"}
//   if (Result<void> whole = check_crc(line); !whole) return std::move(whole).error();

#include <string>
#include <string_view>

#include "base/result.h"

namespace ration {

// `object`: the text of a JSON object that is not empty. No newline at the end.
std::string with_crc(std::string_view object);

// Errors: the sum is missing or is another one (ErrorKind::input). `line` has no newline.
Result<void> check_crc(std::string_view line);

}  // namespace ration
