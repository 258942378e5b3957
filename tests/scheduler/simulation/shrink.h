#pragma once

// The smallest history of its kind that breaks a promise: fewer runs, and only faults that matter.

#include <optional>
#include <string>

#include "scheduler/simulation/player.h"

namespace ration::scheduler::simulation {

// `failing` breaks a promise with `machine`. Cost: some hundred plays.
Scenario shrink(Scenario failing, const Machine& machine = transition);

// The first of the seeds [from, to) whose history breaks a promise, shrunk; nothing when none does.
std::optional<Scenario> first_failure(std::uint64_t from,
                                      std::uint64_t to,
                                      int runs,
                                      const Machine& machine = transition);

// One line for people: what broke, and the command that plays the shrunk history again.
std::string complaint(const Scenario& shrunk, const Machine& machine = transition);

}  // namespace ration::scheduler::simulation
