#pragma once

// attempt-<n>/slurm.json: what the queue said of an attempt whose supervisor could not write how it
// ended, kept beside it so that a rebuild comes to the same answer.

#include <optional>
#include <string>

#include "base/files.h"
#include "scheduler/machine.h"

namespace ration::scheduler::slurm {

struct QueueEnding {
  std::string state;           // SLURM's word, or UNKNOWN when it had forgotten the job
  std::string reason;          // SLURM's
  std::string said;            // the last line that the job said outside its worker's log
  double elapsed_seconds = 0;  // that the attempt had run when the job was gone; 0 = not known
  double limit_seconds = 0;    // of the job; 0 = not known
};

Result<void> write_queue_ending(Files& files, const Path& attempt, const QueueEnding& ending);
std::optional<QueueEnding> read_queue_ending(Files& files, const Path& attempt);

// What it means for the run, for an attempt that began and left no exit status. `progressed`: it
// left a checkpoint.
Ending ending_of(const QueueEnding& ending, bool progressed);

// For an attempt that never began: its machine could not start the job. Other jobs that never began
// were taken back, or their script failed.
bool could_not_be_launched(const QueueEnding& ending);

// "SLURM: FAILED, NonZeroExitCode; it said: …"
std::string describe(const QueueEnding& ending);

}  // namespace ration::scheduler::slurm
