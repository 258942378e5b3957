#pragma once

// What every procedure asks of its runs before it starts.

#include <span>
#include <vector>

#include "fit/fit.h"

namespace ration::fit {

// Errors (ErrorKind::input): runs that cannot be used, all named by their number from 1; fewer than
// two runs, or losses that are all equal.
Result<void> check_runs(std::span<const Observation> runs);

// The runs in an order of their own, and the parts of a run as one: rows of weights below 1 that
// agree in all else are put together until they amount to a run. So no result depends on the order
// of the rows, nor on a table that has rows twice at half the weight.
std::vector<Observation> canonical(std::span<const Observation> runs);

// What each run counts: its weight, shared among the checkpoints of one run.
std::vector<double> weights_of(std::span<const Observation> runs);

}  // namespace ration::fit
