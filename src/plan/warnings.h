#pragma once

// What a plan's reader must know. Private to the room.

#include "plan/plan.h"

namespace ration::plan {

// Needs everything else of the plan.
std::vector<std::string> find_warnings(const fit::Fit& fit, const Plan& plan);

}  // namespace ration::plan
