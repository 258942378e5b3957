#pragma once

// What became of runs that a cluster carries out while no scheduler is on (`ration run --detach`).

#include "scheduler/scheduler.h"

namespace ration::scheduler {

// Takes the logs of their attempts and notes those that ended, once; starts nothing. Does nothing
// where no jobs are out, or a scheduler is on.
Result<void> catch_up(const Path& store, Outside outside);

}  // namespace ration::scheduler
