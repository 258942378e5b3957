#pragma once

// Several runs of one shape carried out by one worker on one device: `ration-train FOLDER FOLDER
// …`. Each keeps its own attempt, events, checkpoints and result, as if it were alone.

#include <vector>

#include "train/device/pack.h"
#include "train/worker.h"

namespace ration::train {

// How many steps of all runs a second the ways of sharing the device give, measured on made-up
// tokens. Way packed needs no rival when it is the only run.
struct Measured {
  double packed = 0;        // rounds of one step a run, a second
  double side_by_side = 0;  // the same with a thread and kernels of its own for each run
};
Measured measure_ways(const std::vector<run::RunSpec>& specs, const device::DeviceOptions& options);

// One outcome a folder, in their order. Runs that cannot be trained side by side, or cannot be
// read, end with WorkerExit::usage before anything is written.
std::vector<WorkerOutcome> work_packed(const std::vector<Path>& run_folders, Surroundings& world);

// What the process says for all of them: preempted when one run is to be continued, else the first
// that is not done.
run::WorkerExit common_exit(const std::vector<WorkerOutcome>& outcomes);

}  // namespace ration::train
