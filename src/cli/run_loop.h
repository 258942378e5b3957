#pragma once

// `ration run --until`: runs, fits and chooses in turns.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

std::vector<Option> loop_options();

// Whether a loop is asked for; an error names an option that makes sense with --until alone.
Result<bool> wants_loop(const Arguments& arguments);

Result<int> run_loop_command(const Arguments& arguments,
                             const scheduler::Sweep& sweep,
                             const scheduler::SweepOptions& options,
                             scheduler::Observer& observer);

}  // namespace ration::cli
