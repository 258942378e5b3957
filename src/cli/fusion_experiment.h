#pragma once

// A sweep file whose [fuse] asks for an experiment: arms, controls and what is measured.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// Carries it out, writes the page beside its tables, and prints the answer; the exit code.
Result<int> run_fusion_experiment(const scheduler::Sweep& sweep,
                                  const scheduler::SweepOptions& options,
                                  scheduler::Outside outside,
                                  const Console& console);

}  // namespace ration::cli
