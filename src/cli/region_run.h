#pragma once

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// What is wrong with [region] of a sweep and the blocks that it names.
Result<void> check_regions(const scheduler::Sweep& sweep,
                           const scheduler::SweepOptions& options,
                           Files& files);

// The study [region] of a sweep whose runs are done: its tables and page are written, the answer is
// printed. The exit code.
Result<int> carry_out_regions(const scheduler::Sweep& sweep,
                              const scheduler::SweepOptions& options,
                              scheduler::Outside outside,
                              const Console& console);

}  // namespace ration::cli
