#pragma once

// WSD trunks and their branches: runs that differ in length alone share the stable part of the
// longest, and each shorter one begins with a checkpoint from where its own decay sets in.

#include <optional>
#include <string>

#include "scheduler/gate.h"
#include "scheduler/sweep.h"

namespace ration::scheduler {

// Makes `run` begin with a checkpoint of `trunk`, which is told to keep it. A run of the trunk's
// own length becomes the trunk. Error: why they cannot share anything.
std::optional<Error> make_branch(PlannedRun& trunk, PlannedRun& run);

// A branch waits for a checkpoint of its trunk, `node` of the machine; without it, it fails.
Gate gate_of_branch(const run::RunSpec& branch, std::size_t node);

// Adds the steps of a keep_steps setting to those that a run keeps.
void keep_also(PlannedRun& run, const std::string& steps);

}  // namespace ration::scheduler
