#pragma once

// `ration run --dry-run`: what sweeps would do, take and leave on the disk. Writes nothing.

#include <span>

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

Result<int> dry_run(const Arguments& arguments,
                    std::span<const scheduler::Sweep> sweeps,
                    const scheduler::SweepOptions& options);

}  // namespace ration::cli
