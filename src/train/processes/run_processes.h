#pragma once

// The third way of many small runs on one device: a process for each. It needs no likeness of the
// runs, and pays with a context of the device for each of them.

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/device/runs.h"
#include "train/processes/child.h"
#include "train/worker.h"

namespace ration::train {

// Rounds a second of one step of each run, all processes at once; nothing where not all of them got
// so far, which is no error: they may not fit; or where a stop is asked for. `program` is a
// ration-train.
std::optional<double> measure_processes(const std::string& program,
                                        const std::vector<Path>& run_folders,
                                        const std::function<bool()>& stop_requested);

// What such a process does (`ration-train --pace RUN`): gets ready and says so in a line on `out`,
// begins when `in` ends, and writes the seconds that its steps took.
int keep_pace(const Path& run_folder, Files& files, std::FILE* in, std::FILE* out);

// Seconds of the steps that are timed, after those that are not, on made-up tokens.
inline constexpr int kTimedRounds = 8;   // enough to tell ways apart that differ by a tenth
inline constexpr int kWarmUpRounds = 2;  // the first records the step
Batch made_up_batch(const run::RunSpec& spec);

// Carries out each run by a process of its own, at most `at_once` side by side; a stop that is
// asked of this one goes on to all. Outcomes are told by exit codes, errors by the processes
// themselves.
std::vector<WorkerOutcome> work_in_processes(const std::string& program,
                                             const std::vector<Path>& run_folders,
                                             Surroundings& world,
                                             std::size_t at_once);

}  // namespace ration::train
