#pragma once

// What `ration eval fib` and `ration eval pairs` do once they know their task.

#include <string>
#include <vector>

#include "cli/command.h"
#include "eval/pairs/task.h"

namespace ration::cli {

// Options that both share; `prompts` is the default of --prompts.
std::vector<Option> eval_options(const std::string& prompts);

// Asks the checkpoint, and the one of --against; prints and writes what came out. `name` of the
// task as results have it.
Result<int> evaluate_task(const Arguments& arguments,
                          const std::string& name,
                          const eval::PairTask& task);

}  // namespace ration::cli
