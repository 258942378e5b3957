#pragma once

// Which runs of a sweep the rules of its [stop] compare, and what they know of them already.

#include <vector>

#include "scheduler/engine.h"
#include "scheduler/scheduler.h"
#include "scheduler/sweep.h"
#include "store/store.h"

namespace ration::scheduler {

// Of one sweep that is carried out, maybe beside others.
struct EarlyStopping {
  const Sweep* sweep = nullptr;
  std::size_t number = 0;  // of State::sweeps
  const Expansion* all = nullptr;
  const std::vector<store::RunRow>* members = nullptr;  // the rows of its runs
  const Foreteller* law = nullptr;                      // for [stop.predicted]; null: none
};

// Places the nodes of the sweep in brackets, tells these all held-out losses of its runs that the
// store has (nothing is decided about them any more), and each node what the law says of it. Trunks
// and branches stay out, since others need a trunk's checkpoints, and a branch sees no early rung.
// Cost: a query for each run that was started.
Result<void> prepare_stopping(const store::Reader& store,
                              const EarlyStopping& stopping,
                              State& state,
                              std::vector<Tracked>& tracked);

}  // namespace ration::scheduler
