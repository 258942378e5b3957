#pragma once

// What parsed JSON tells no more: of two equal names in an object it keeps the last. Internal to
// the room.

#include <string>
#include <string_view>

namespace ration::checkpoint {

// What is wrong with `text`, called `what` in the answer ("the header"): no JSON, nested deeper
// than 8 levels, or an object that holds a name twice. Empty where nothing is.
std::string problem_of_json(std::string_view text, std::string_view what);

}  // namespace ration::checkpoint
