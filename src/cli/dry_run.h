#pragma once

// `ration run --dry-run`: what a sweep would do, take and leave on the disk. Writes nothing.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

Result<int> dry_run(const Arguments& arguments,
                    const scheduler::Sweep& sweep,
                    const scheduler::SweepOptions& options);

}  // namespace ration::cli
