#pragma once

// What follows from the end of an attempt, for its run: the policies of retrying. Part of the state
// machine (machine.h).

#include <string>

#include "scheduler/machine.h"

namespace ration::scheduler {

// How a run goes on.
struct Verdict {
  RunState state = RunState::failed;
  double delay = 0;  // seconds until it may start
  std::string reason;
};

// Charges the run for an ending and says what becomes of it, before the sweep as a whole is looked
// at.
Verdict judge(const Policy& policy, RunNode& node, const Ending& ending);

// Attempts in a row, up to the last one, of which nothing was executed.
int fruitless_starts(const RunNode& node);

// The ending may have a cause that all runs share, and so counts for the circuit breaker.
// `was_packed`: the attempt shared a GPU.
bool tells_of_trouble(const Ending& ending, bool was_packed);

}  // namespace ration::scheduler
