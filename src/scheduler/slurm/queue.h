#pragma once

// SLURM's commands: what is asked, and what the answers mean. Nothing is remembered here and
// nothing of an answer is believed beyond what it says: SLURM forgets jobs, gives their numbers to
// others, and shows states that are not so (docs/slurm.md).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "scheduler/slurm/batch.h"
#include "scheduler/slurm/config.h"

namespace ration::scheduler::slurm {

// A task in the queue: name of the job and index in its array. Numbers of jobs are reused; names
// hold a token of their own.
using TaskKey = std::pair<std::string, int>;

enum class Phase { pending, running, over };

struct Sighted {
  Phase phase = Phase::running;
  std::string state;     // SLURM's word
  std::string reason;    // why it waits, or ended
  std::int64_t job = 0;  // number of the array
};

// By task. Where the queue holds a task twice, the copy that is most alive.
using Listing = std::map<TaskKey, Sighted>;

enum class SubmitKind {
  accepted,
  full,     // a limit of the cluster or the person: later, or fewer at once
  refused,  // the request cannot be met: settings are wrong
  unknown,  // may have been accepted or not
};

struct Submission {
  SubmitKind kind = SubmitKind::unknown;
  std::int64_t job = 0;
  std::string words;  // sbatch's own, unless accepted
};

class Queue {
 public:
  explicit Queue(SlurmConfig config) : config_(std::move(config)) {}

  // Jobs of one array at most; 1001, SLURM's own default, when the cluster does not say.
  int array_size() const;
  Result<Submission> submit(const Batch& batch) const;
  // Everything of this person in the queue; an error changes nothing.
  Result<Listing> list() const;
  // What accounting knows of these jobs; nothing where there is none, or no answer.
  std::optional<Listing> accounting(const std::vector<std::int64_t>& jobs) const;

  // Each reaches tasks of that name alone, whoever has their numbers by now.
  void cancel_pending(const Batch& batch, const std::vector<int>& tasks) const;
  void ask_to_checkpoint(const Batch& batch, const std::vector<int>& tasks) const;
  void cancel(const Batch& batch, const std::vector<int>& tasks) const;

 private:
  void scancel(const Batch& batch,
               const std::vector<int>& tasks,
               std::vector<std::string> words) const;

  SlurmConfig config_;
};

std::vector<std::string> sbatch_words(const Batch& batch, const SlurmConfig& config);
Submission read_submission(int status, bool timed_out, const std::string& out, std::string words);
Listing read_squeue(std::string_view text);
Listing read_sacct(std::string_view text);
Phase phase_of(std::string_view state);

}  // namespace ration::scheduler::slurm
