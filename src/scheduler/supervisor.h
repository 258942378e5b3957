#pragma once

// What the small process does that stands between scheduler and worker: it claims the attempt's
// folder, runs the worker with its words in log.txt and writes its exit status to `exit`, so that
// both survive the scheduler.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/process.h"
#include "base/result.h"

namespace ration::scheduler {

struct SuperviseOptions {
  Path trainer;     // the worker's program
  Path run_folder;  // holds run.json
  int number = 0;   // attempt-<number>, not yet there
  std::string token;
  std::int64_t threads = 1;  // for OpenMP and MKL in the worker
  std::string gpus = {};     // UUIDs that the worker may see, with commas between; empty = all
  // Hand SIGTERM on to the worker. Not inside a job: SLURM sends it to every process, and a second
  // one would tell the worker to leave without a checkpoint.
  bool hand_on_term = true;
  std::string host = {};  // this machine's name in the queue; empty = its own
};

// Runs one attempt to its end; returns the worker's exit status as written to `exit` (128 + n when
// signal n ended it), or WorkerExit::fenced when the folder belongs to another.
Result<int> supervise(const SuperviseOptions& options, Files& files);

// attempt-<n>/supervisor.json and worker.json: who carries out an attempt.
struct SupervisorNote {
  std::string token;
  std::string host;
  double started = 0;  // UNIX seconds
  ProcessId supervisor;
  ProcessId worker;                    // pid 0 until it was started
  std::vector<std::string> gpus = {};  // that it was given
  std::string trainer = {};            // the worker's program; empty in notes of older programs
  // Of the attempt's folder; 0 = not known.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

// Nothing when there is none (not claimed by a supervisor, or killed before it could write).
std::optional<SupervisorNote> read_supervisor_note(Files& files, const Path& attempt_folder);

// The note was written in this folder. False in a copy of a store, whose processes are at work in
// the original.
bool noted_in(const SupervisorNote& note, const Path& attempt_folder);

// Claims an attempt's folder so that its supervisor, should it still come, finds it taken and
// leaves. False when the folder is there already.
Result<bool> bury_attempt(Files& files, const Path& attempt_folder);
// The folder was claimed by bury_attempt: nothing ever ran in it.
bool buried(Files& files, const Path& attempt_folder);

}  // namespace ration::scheduler
