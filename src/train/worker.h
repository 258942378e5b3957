#pragma once

// The program ration-train: carries out one run folder and ends with a code of run/exit_codes.h.
// docs/training.md shows its use.

#include <optional>
#include <string>

#include "run/exit_codes.h"
#include "train/surroundings.h"

namespace ration::train {

namespace device {
class Pack;
}
struct Meeting;

struct WorkerOptions {
  Path run_folder;
  std::optional<int> attempt =
      {};  // claimed by whoever started the worker; nothing: the worker claims the next one
  std::string token = {};  // of that attempt, recorded in the log's first line
  // The runs that this one shares a device with, and whether it got a place among them; or none.
  device::Pack* pack = nullptr;
  bool* seated = nullptr;
  // Where this process meets the others that carry out the run; none: it is the only one.
  const Meeting* meeting = nullptr;
};

struct WorkerOutcome {
  run::WorkerExit exit = run::WorkerExit::other;
  std::optional<Error> error = {};  // why it is not `done`, when there is more to say than the code
};

// Throws nothing.
WorkerOutcome work(const WorkerOptions& options, Surroundings& world);

// How a run ended that has a result; nothing when it has none. A result.json that cannot be read as
// one is WorkerExit::data.
std::optional<WorkerOutcome> outcome_of_finished(const Path& run_folder, Files& files);

}  // namespace ration::train
