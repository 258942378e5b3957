#pragma once

// Several runs of one shape carried out by one worker on one device: `ration-train FOLDER FOLDER
// …`. Each keeps its own attempt, events, checkpoints and result, as if it were alone.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/device/pack.h"
#include "train/worker.h"

namespace ration::train {

// What the ways of sharing the device give, measured on made-up tokens: rounds of one step of each
// run, a second.
struct Measured {
  double packed = 0;        // all runs in each kernel
  double side_by_side = 0;  // a thread, a stream and kernels of its own for each run
  // A process for each run; nothing where it was not tried, or where they did not all fit.
  std::optional<double> processes = {};

  Json to_json() const;  // for the log: rounds a second by the ways' names
};
// Of the two ways within one process.
Measured measure_ways(const std::vector<run::RunSpec>& specs, const device::DeviceOptions& options);

struct PackedOptions {
  std::string program = {};  // a ration-train for the way of processes; empty leaves it out
  // Seconds of training below which starting processes to measure them costs more than it can save.
  double worth_processes = 120;
};

// One outcome a folder, in their order. Runs that cannot be trained side by side, or cannot be
// read, end with WorkerExit::usage before anything is written; finished ones are left alone. Where
// the processor's own passes carry them out and `program` is known, each gets a process.
std::vector<WorkerOutcome> work_packed(const std::vector<Path>& run_folders,
                                       Surroundings& world,
                                       const PackedOptions& options = {});

// What the process says for all of them: preempted when one run is to be continued, else what is to
// be mended, else that a run has diverged.
run::WorkerExit common_exit(const std::vector<WorkerOutcome>& outcomes);

}  // namespace ration::train
