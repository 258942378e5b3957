#pragma once

// Studies of trained runs that a sweep file asks for: [merge], [fuse],
// [region] and [remedies]. Each is carried
// out by the function that study.cc names; the command of that name calls the same one.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// What can be known to be wrong with `sweep.study` before its runs are trained.
Result<void> check_study(const scheduler::Sweep& sweep,
                         const scheduler::SweepOptions& options,
                         Files& files);

// Carries out `sweep.study`, whose runs are done; the exit code. Without a study 0.
Result<int> run_study(const scheduler::Sweep& sweep,
                      const scheduler::SweepOptions& options,
                      scheduler::Outside outside,
                      const Console& console);

}  // namespace ration::cli
