#pragma once

// What is submitted as one array of jobs: a folder of the store, written before sbatch is called,
// so that a restart knows what may be in the queue. It is removed when its last attempt is over.
//
//   slurm/<token>/tasks.jsonl   index of the array -> attempt, and where its settings lie in …
//   slurm/<token>/settings      … what is to be run.json of each
//   slurm/<token>/job.sh        what a job runs
//   slurm/<token>/job           the job's number, once it was told
//   slurm/<token>/<index>.out   what a job said before its worker had a log

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "scheduler/executor.h"
#include "scheduler/slurm/config.h"

namespace ration::scheduler::slurm {

struct Batch {
  std::string token;  // 32 hex digits: the jobs' name in the queue is ration-<token>
  Path folder;
  std::vector<Launch> tasks;  // by index, alike() each other; settings and the database's ids
                              // are not read back
  std::int64_t job = 0;       // SLURM's number of the array; 0 = not told yet
  double limit_seconds = 0;   // of a job's time; 0 = the cluster's own

  std::string name() const { return "ration-" + token; }
};

// What jobs run; paths on every node of the cluster.
struct Programs {
  Path ration;
  Path trainer;
};

// Two attempts can be jobs of one array: they ask for the same.
bool alike(const Launch& a, const Launch& b);

Path batches_of(const Path& store);

// Writes a batch whole, durably; `job` is not part of it.
Result<void> write_batch(Files& files,
                         const Batch& batch,
                         const Programs& programs,
                         const SlurmConfig& config);
Result<void> write_job_number(Files& files, const Batch& batch);
Result<Batch> read_batch(Files& files, const Path& folder);
// Batches that were written whole; others were never submitted. The folders of damaged
// ones go to `damaged`.
Result<std::vector<Batch>> read_batches(Files& files,
                                        const Path& store,
                                        std::vector<Path>* damaged = nullptr);

// Puts a damaged batch out of the way: a job of it that comes after all finds no folder and ends.
Result<void> set_aside(Files& files, const Path& batch);

// The script of a batch: no text in it but paths, which are quoted, checked names of modules, and
// the owner's own set-up lines.
std::string job_script(const Batch& batch, const Programs& programs, const SlurmConfig& config);

// One word for a shell, whatever is in it.
std::string quoted(const std::string& word);

// Carries out one task of a batch inside a job; returns its worker's exit status. Refused with
// ErrorKind::input where the job is none of this batch's.
Result<int> carry_out(Files& files, const Path& folder, const Path& trainer);

}  // namespace ration::scheduler::slurm
