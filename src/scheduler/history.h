#pragma once

// From what the store or the folders hold of a run to the node that the machine continues with.

#include <vector>

#include "base/clock.h"
#include "scheduler/engine.h"
#include "scheduler/machine.h"
#include "store/store.h"

namespace ration::scheduler {

struct NodeAndTracked {
  RunNode node;
  Tracked tracked;
};

// `wanted`: this command asks for the run. Reads the run's attempts where it has any.
Result<NodeAndTracked> restore(
    const store::Reader& store, Files& files, Clock& clock, const store::RunRow& row, bool wanted);

}  // namespace ration::scheduler
