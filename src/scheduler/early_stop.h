#pragma once

// Which runs of a sweep the rules of its [stop] compare, and what they know of them already.

#include <vector>

#include "scheduler/engine.h"
#include "scheduler/sweep.h"
#include "store/store.h"

namespace ration::scheduler {

// Places the nodes of sweep number `sweep` in brackets, and tells these all held-out losses of its
// runs that the store has: nothing is decided about them any more. Trunks and branches stay out,
// since others need a trunk's checkpoints, and a branch sees no early rung. `members`: the rows of
// the sweep. Cost: a query for each run that was started.
Result<void> place_contestants(const store::Reader& store,
                               const Expansion& all,
                               const StopRules& rules,
                               const std::vector<store::RunRow>& members,
                               std::size_t sweep,
                               State& state,
                               std::vector<Tracked>& tracked);

}  // namespace ration::scheduler
