#pragma once

// The loop that carries a sweep out: it feeds events to the state machine and does what it answers,
// writing everything to the store as it happens. It holds nothing that the store, the run folders
// and the executor could not tell again: kill it anywhere and start it again.

#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "scheduler/executor.h"
#include "scheduler/machine.h"
#include "scheduler/outcome.h"
#include "scheduler/stop_signals.h"
#include "store/writer.h"

namespace ration::scheduler {

// How far a sweep is.
struct Snapshot {
  std::int64_t runs = 0;
  std::int64_t settled = 0;
  std::int64_t failed = 0;  // failed or invalid
  std::int64_t active = 0;
  std::int64_t waiting = 0;  // for their next try
  double fraction = 0;       // of the FLOPs; of the runs where none trains
  double eta_seconds = -1;   // negative = not known yet
};

// Where the engine reports to.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void note(std::string_view text) = 0;
  virtual void progress(const Snapshot& snapshot) = 0;  // about once a second
};

struct EngineOptions {
  // Between a request to stop a cancelled run and its end by force, in seconds: time for a
  // checkpoint.
  double grace_seconds = 60;
  // Between two looks at the logs of active runs, in seconds; also the pace of progress.
  double poll_seconds = 1;
  // Leave as soon as all that can be started was handed to the executor, and what ended is known.
  bool detach = false;
  // Off: ends are recorded, but what follows from one (a retry, a failure) is left to the next
  // `ration run`, which knows what the user allows. Results and cancellations are taken at once.
  bool judges = true;
  // Ctrl-C leaves active runs to the executor, which goes on without us.
  bool leave_on_interrupt = false;
  // Unix time at which nothing more is started and active runs checkpoint and leave, as at a first
  // Ctrl-C: the same call continues.
  double stop_at = std::numeric_limits<double>::infinity();
  // For run.json of attempts of this machine, which waits for no disk: see unsynced_files.h. Null =
  // the engine's files.
  Files* settings_files = nullptr;
};

// A node of the machine, as the store knows it.
struct Tracked {
  std::int64_t run = 0;  // id in the database
  std::string id;        // run-id
  double flops = 0;
  double tokens = 0;
  int attempts = 0;                     // highest number that the database knows; 0 = none
  std::int64_t evaluated_step = -1;     // up to which the machine knows its held-out losses
  std::optional<Ending> unjudged = {};  // of the last attempt: a command without judgement saw it
};

struct EngineEnd {
  State state;                     // the machine's last
  bool left_at_once = false;       // a second request to stop, or see EngineOptions
  int stop_requests = 0;           // Ctrl-C and the like
  std::int64_t launched = 0;       // attempts started
  std::int64_t adopted = 0;        // attempts of an earlier scheduler that were followed
  std::int64_t damaged_lines = 0;  // lines of event logs that could not be used
};

class Engine {
 public:
  // All must outlive the engine. `signals` may be null.
  Engine(store::Writer& writer,
         Executor& executor,
         Files& files,
         Clock& clock,
         Observer& observer,
         StopSignals* signals,
         const EngineOptions& options);

  // `tracked` describes the machine's nodes, one each. Returns when there is nothing left to do.
  Result<EngineEnd> run(State state, std::vector<Tracked> tracked);

 private:
  // An attempt that is alive as far as we know.
  struct Live {
    std::int64_t attempt = 0;
    std::size_t node = 0;
    int number = 0;
    std::string token;
    double stop_asked = 0;  // monotonic seconds; 0 = not
  };

  Result<void> adopt();
  Result<void> judge_what_ended();
  Result<void> withdraw_unbegun(const Error& error);
  Result<void> adopt_one(const store::AttemptRow& row,
                         std::size_t node,
                         std::vector<store::PlacedAttempt>& placed);
  Result<void> reconcile();
  Result<void> feed(const MachineEvent& event);
  Result<void> perform(const Action& action);
  Result<void> launch(const std::vector<std::size_t>& nodes);
  Result<std::optional<Launch>> launch_of(std::size_t node,
                                          const store::SettingsText& settings,
                                          const run::Execution& execution);
  Result<int> next_number(std::size_t node);
  // `not_startable`: why the executor could not start it at all; empty when it did.
  Result<void> conclude(std::int64_t attempt, const std::string& not_startable = {});
  Result<void> look_at_requests();
  Result<void> record_request(std::string_view verb, const std::string& id);
  void keep_verdict(const Live& live, const store::RunUpdate& update);
  void wait_again_for_retried();
  Result<void> look_at_signals();
  Result<void> look_at_time();
  Result<void> look_at_logs();
  Result<void> look_at_evaluations(std::size_t node);
  Result<void> decide(const Action& action);
  Result<void> look_at_checkpoints();
  Result<void> look_at_checkpoint(std::size_t node, std::size_t place, const Parent& parent);
  Result<void> say_what_blocks();
  std::string why_missing(const Parent& parent) const;
  void stop(std::size_t node);
  void enforce_stops();
  void report();
  store::RunUpdate update_of(const Action& action) const;
  run::RunFolder folder_of(std::size_t node) const;

  store::Writer& writer_;
  Executor& executor_;
  Files& files_;
  Clock& clock_;
  Observer& observer_;
  StopSignals* signals_;
  EngineOptions options_;

  State state_;
  std::vector<Tracked> tracked_;
  std::map<std::string, std::size_t, std::less<>> node_by_id_;
  std::map<std::int64_t, Live> live_;  // by attempt
  std::deque<MachineEvent> queue_;     // events that actions gave rise to
  bool unsynced_ = false;              // attempts were recorded that are not on the disk yet
  EngineEnd end_;
  std::uint64_t requests_read_ = 0;
  int stop_requests_ = 0;
  std::int64_t launched_before_ = 0;  // end_.launched at the last wait
  double started_ = 0;
  std::optional<double> flops_at_start_;
  double next_look_ = 0;
  double next_lease_ = 0;
  double next_checkpoints_ = 0;  // monotonic time of the next look at what runs wait for
};

}  // namespace ration::scheduler
