#pragma once

// The law that ends runs early where their sweep has [stop.predicted].

#include <optional>
#include <span>

#include "cli/command.h"
#include "fit/fit.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// What the fits say that [stop.predicted] names: its `fit`, or the newest of this store if that was
// made of the sweep. A run outside of what a fit covers, and each run under a fit that is not to be
// trusted, has no prediction; notes say so. An error: a file that cannot be read.
Result<scheduler::Foreteller> laws_of(std::span<const scheduler::Sweep> sweeps,
                                      const Path& store,
                                      scheduler::Observer& notes);

// The interval is the widest that the fit's law and, where several laws or minima were weighed,
// their average give.
std::optional<scheduler::Foreseen> foretell(const fit::Fit& fit, const run::RunSpec& spec);

}  // namespace ration::cli
