#pragma once

// The decisions of a loop as people read them.

#include <string>

#include "loop/loop.h"

namespace ration::cli {

// "epochs 6.1 (3.2 to 11.4), 134 % wide".
std::string measured_text(const loop::Measured& measured);
// All quantities of the goal, joined.
std::string goal_text(const std::vector<loop::Measured>& goal);
// One line a round: what is known, what follows and why.
std::string decision_line(const loop::Decision& decision);
// The runs that were decided on, as a table; empty when there are none.
std::string picks_table(const loop::Decision& decision);

}  // namespace ration::cli
