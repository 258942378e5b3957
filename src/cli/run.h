#pragma once

// What the commands that carry out sweep files share.

#include "cli/command.h"

namespace ration::cli {

// `ration run` without --until and its options.
std::vector<Option> sweep_run_options();

// Trains the runs of the files that are the positional arguments, then carries out their studies.
Result<int> run_sweep_files(const Arguments& arguments);

}  // namespace ration::cli
