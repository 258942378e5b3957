#pragma once

// The world that a simulated scheduler meets: machines that carry attempts out, run folders with
// checkpoints and results, and news that may come late. Time is told by the caller.

#include <limits>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "scheduler/simulation/scenario.h"

namespace ration::scheduler::simulation {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

struct Attempt {
  int run = 0;
  int number = 0;
  int host = 0;
  Fate fate;
  double began = 0;
  double ends = 0;           // as it stands; a request to stop makes it sooner
  double work_at_start = 0;  // seconds of work in the checkpoint that it began with
  bool alive = false;        // its processes exist
  bool given_up = false;     // its machine counts as dead, whether its processes live or not
  bool asked_to_stop = false;
  Ending ending;  // once it is over, or given up
};

class Outside {
 public:
  explicit Outside(const Story& story);

  // Starts processes of attempt `number` of a run; its id. Machines in `avoid` are not used, unless
  // there are no others.
  int start(int run, int number, const std::vector<std::string>& avoid, double now);
  // The worker checkpoints and leaves within a minute.
  void stop(int attempt, double now);
  const Attempt& attempt(int id) const { return attempts_[static_cast<std::size_t>(id)]; }
  // As an executor sees it.
  bool seems_alive(int id) const { return attempt(id).alive && !attempt(id).given_up; }
  // What the scheduler reads from the run's folder once the attempt is gone.
  Ending outcome(int id) const;
  std::optional<RunState> result(int run) const { return folder(run).result; }
  // Seconds of work in the newest checkpoint, that of a living attempt included.
  double saved(int run, double now) const;
  // Seconds of work that its logs tell of, those of a living attempt included.
  double logged(int run, double now) const;
  // Processes that nobody gave up, of all attempts.
  int alive() const { return alive_; }

  // When something happens next.
  double next() const { return happenings_.empty() ? kNever : happenings_.top().at; }
  // Lets it happen; an attempt whose end the scheduler may now hear of, or nothing.
  std::optional<int> happen();

  void kill_host(int host, double now);
  void preempt(int id, double now);
  void fill_disk(double until, double now);
  bool disk_is_full(double now) const { return now < disk_full_until_; }
  // Faults that made a difference.
  const std::set<Fault>& met() const { return met_; }

 private:
  struct Folder {
    double saved = 0;
    double logged = 0;
    std::optional<RunState> result;
    std::vector<int> attempts;
  };
  struct Happening {
    double at = 0;
    std::int64_t order = 0;
    int attempt = 0;
    bool report = false;  // else its end
    bool operator<(const Happening& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);  // the earliest on top
    }
  };

  Attempt& at(int id) { return attempts_[static_cast<std::size_t>(id)]; }
  Folder& folder(int run) { return folders_[static_cast<std::size_t>(run)]; }
  const Folder& folder(int run) const { return folders_[static_cast<std::size_t>(run)]; }
  const RunPlan& plan(int run) const { return story_->runs()[static_cast<std::size_t>(run)]; }
  double draw(std::uint64_t what, const Attempt& attempt) const;
  void schedule(double at, int attempt, bool report);
  void end_at(int id, double when);
  void end_now(int id, double now, const Ending& ending);
  void end(int id);
  double worked(const Attempt& attempt, double now) const;
  double checkpointed(const Attempt& attempt, double now) const;
  void publish(const Attempt& attempt, RunState state);

  const Story* story_;
  std::vector<Attempt> attempts_;
  std::vector<Folder> folders_;
  std::priority_queue<Happening> happenings_;
  std::int64_t order_ = 0;
  int alive_ = 0;
  double disk_full_until_ = 0;
  std::set<Fault> met_;
};

}  // namespace ration::scheduler::simulation
