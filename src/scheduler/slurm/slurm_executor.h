#pragma once

// Attempts as jobs of a SLURM cluster. What has become of one is read from its folder; the queue
// only says whether to go on waiting for it. Nothing needs to stay running: batches lie in the
// store (batch.h), and the next scheduler, on any login node, goes on with them.
//
// start() gathers; wait() submits what was gathered as arrays, looks at the queue, and reports what
// ended. An attempt is over when its supervisor wrote how it ended, whatever the queue shows; when
// the queue says that its job is over and `settle` has passed; or when queue and accounting have
// not known it twice in a row and its files do not grow.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scheduler/executor.h"
#include "scheduler/slurm/queue.h"

namespace ration::scheduler {

struct SlurmOptions {
  Path store;
  slurm::Programs programs;
  SlurmConfig config;
  // Leave soon: wait() does not return before it knows what became of jobs that look over.
  bool detach = false;
  // Off: nothing is sent to the cluster, not even again when an answer was lost. For commands that
  // only look or end runs, which know nothing of what jobs ask for.
  bool submits = true;
  std::function<void(std::string_view)> say = [](std::string_view) {};
};

class SlurmExecutor final : public Executor {
 public:
  SlurmExecutor(Files& files, Clock& clock, SlurmOptions options);

  // Reads the batches of earlier schedulers; call once, before anything else.
  Result<void> open();
  // The attempt was submitted, or may have been: find() is for it.
  bool knows(const std::string& token) const { return place_.contains(token); }
  bool idle() const { return jobs_.empty() && finished_.empty(); }

  bool remote() const override { return true; }
  Result<Placement> start(const Launch& launch) override;
  Result<Sighting> find(const Launch& launch, const Placement& recorded) override;
  // ErrorKind::usage when the cluster refuses what ration.toml asks for.
  Result<std::vector<std::int64_t>> wait(double seconds, int wake) override;
  std::vector<std::int64_t> begun() const override { return {begun_.begin(), begun_.end()}; }
  bool handed_on(std::int64_t attempt) const override;
  void stop(std::int64_t attempt, bool force) override;

 private:
  // A submitted array. `job` = 0: the answer was lost, or never came.
  struct Submitted {
    slurm::Batch batch;
    bool certain = false;  // it is in the queue, or was
    int tries = 0;
    int absent = 0;  // looks in a row at a queue without it, while not certain
    double submitted = 0;
    int left = 0;  // tasks that are not over
    std::string words;
  };
  // An attempt that is not over.
  struct Job {
    Launch launch;
    std::string batch;  // token; empty = not submitted yet
    int index = 0;
    std::optional<slurm::Phase> phase;  // as last seen
    double gone_since = 0;              // the queue calls it over, or does not know it; 0 = neither
    int misses = 0;                     // looks in a row at a queue that does not know it
    std::uint64_t trace = 0;            // of its work when it was missed: changes while it goes on
    slurm::Sighted last;
    bool stop_wanted = false;
    bool force_wanted = false;
    bool asked = false;  // to checkpoint
  };
  struct Place {
    std::string batch;
    int index = 0;
  };

  run::RunFolder folder_of(const Job& job) const { return {*files_, job.launch.run_folder}; }
  Result<void> submit_all();
  Result<bool> submit_one(std::vector<std::int64_t> attempts);
  Result<void> submit(Submitted& submitted);
  Result<void> look_at_queue();
  Result<void> look_for_uncertain(const slurm::Listing& listing);
  bool anything_claimed(const slurm::Batch& batch) const;
  void bury_unwanted(const std::string& batch);
  void look_at_exits(bool all);
  void judge(std::int64_t attempt, Job& job, const slurm::Listing& listing);
  void see(std::int64_t attempt, Job& job, slurm::Phase phase);
  void judge_by_accounting();
  void carry_out_stops();
  bool over(std::int64_t attempt, Job& job);
  void finish(std::int64_t attempt);
  std::uint64_t trace_of(const Job& job) const;
  bool anything_settling() const;

  Files* files_;
  Clock* clock_;
  SlurmOptions options_;
  slurm::Queue queue_;
  std::map<std::int64_t, Job> jobs_;
  std::set<std::int64_t> begun_;        // of these, submitted and not known to be pending
  std::vector<std::int64_t> gathered_;  // attempts to submit
  std::map<std::string, Submitted> batches_;
  std::map<std::string, Place> place_;  // by the attempt's token
  std::vector<std::int64_t> finished_;  // to be reported
  std::vector<std::int64_t> buried_;    // to be finished
  int array_size_ = 0;                  // 0 = not asked yet
  int chunk_ = 1 << 30;                 // at most so many at once, since the cluster said "full"
  double next_submit_ = 0;
  double next_look_ = 0;
  double next_exits_ = 0;
  double next_accounting_ = 0;
  bool stops_pending_ = false;
  int failed_looks_ = 0;
  int full_ = 0;  // "full" in a row
};

}  // namespace ration::scheduler
