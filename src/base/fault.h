#pragma once

// Points at which a test can kill the program: with RATION_FAULT=name[:n] in the environment the
// process sends itself SIGKILL when it passes the point `name` for the n-th time (the first, unless
// given). Without it a point costs one comparison. The names stand where the points are:
// `grep -rn fault_point src`.

#include <string_view>

namespace ration {

void fault_point(std::string_view name);

}  // namespace ration
