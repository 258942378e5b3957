#pragma once

// Workers of a supervisor that was killed.

#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/process.h"

namespace ration::scheduler {

// Living processes of the session that a supervisor began which are the worker of an attempt, or
// about to become it: until a new process has its own command line, the token on it cannot tell.
// `supervisor` may be gone, `boot` is its machine's. Cost: about 20 µs a process of the machine.
std::vector<ProcessId> workers_in_session(const ProcessId& supervisor, std::string_view token);

}  // namespace ration::scheduler
