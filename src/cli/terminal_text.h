#pragma once

// Text of other programs on a person's terminal.

#include <string>
#include <string_view>

namespace ration::cli {

// Control bytes but newline, tab and carriage return as a terminal's user types them, ^[ for ESC: a
// log cannot move the cursor, rename the window or clear the screen.
std::string without_control_bytes(std::string_view text);

}  // namespace ration::cli
