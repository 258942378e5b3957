#pragma once

// The price list of remedies: what `ration remedies` prints, and `ration run` of a sweep with
// [remedies] at its end.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// Measures what the table [remedies] of `sweep` asks for, whose runs are done, writes it into the
// store, and prints its price list.
Result<int> carry_out_remedies(const scheduler::Sweep& sweep,
                               const scheduler::SweepOptions& options,
                               scheduler::Outside outside,
                               const Console& console);

}  // namespace ration::cli
