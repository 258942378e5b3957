#pragma once

// What a plan's reader must know. Private to the room.

#include "plan/plan.h"

namespace ration::plan {

std::vector<std::string> find_warnings(const fit::Fit& fit,
                                       const Request& request,
                                       const Optimum& best);

}  // namespace ration::plan
