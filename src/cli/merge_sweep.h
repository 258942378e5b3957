#pragma once

#include "cli/command.h"
#include "study/merge/sweep.h"

namespace ration::cli {

// The study [merge] of a sweep whose runs are done: its tables and page are written, what it found
// is printed. The exit code.
Result<int> carry_out_merge_sweep(const scheduler::Sweep& sweep,
                                  const scheduler::SweepOptions& options,
                                  scheduler::Outside outside,
                                  const Console& console);

}  // namespace ration::cli
