#pragma once

// What `ration eval fib` and `ration eval pairs` do once they know their task.

#include <string>

#include "cli/command.h"
#include "eval/pairs/task.h"

namespace ration::cli {

// Asks the checkpoint, and the one of --against; prints and writes what came out. `name` of the
// task as results have it.
Result<int> evaluate_task(const Arguments& arguments,
                          const std::string& name,
                          const eval::PairTask& task);

}  // namespace ration::cli
