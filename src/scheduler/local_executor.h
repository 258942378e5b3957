#pragma once

// Attempts as processes of this machine, each under a supervisor in a session of its own. What is
// followed survives the scheduler and is adopted by the next one, never started twice.

#include <map>
#include <memory>

#include "base/files.h"
#include "scheduler/executor.h"
#include "scheduler/supervisor_pool.h"

namespace ration::scheduler {

struct LocalOptions {
  Path ration;   // this program, for `ration supervise`
  Path trainer;  // the worker's program
};

class LocalExecutor final : public Executor {
 public:
  LocalExecutor(Files& files, LocalOptions options);
  ~LocalExecutor() override;
  LocalExecutor(const LocalExecutor&) = delete;
  LocalExecutor& operator=(const LocalExecutor&) = delete;

  Result<Placement> start(const Launch& launch) override;
  Result<Sighting> find(const Launch& launch, const Placement& recorded) override;
  Result<std::vector<std::int64_t>> wait(double seconds, int wake) override;
  std::vector<std::int64_t> begun() const override;
  void stop(std::int64_t attempt, bool force) override;

 private:
  // How an attempt that is alive is watched.
  enum class By {
    pool,        // its supervisor is ours
    supervisor,  // of an earlier scheduler
    worker,      // its supervisor has gone
  };
  struct Followed {
    Launch launch;
    ProcessId process;
    int descriptor = -1;  // of the pool, or a pidfd; -1 where the system has none
    By by = By::pool;
  };

  std::optional<Sighting> sight_living(const Launch& launch, const Placement& recorded);
  void follow(const Launch& launch, const ProcessId& process, By by);
  static void close_pidfd(const Followed& followed);
  // Those whose supervisor has something to tell or whose process is no more, after `seconds` at
  // most.
  std::vector<std::int64_t> gone(double seconds, int wake) const;
  // True when the attempt is over; otherwise its worker lives on and is followed.
  bool reap(const Followed& followed);

  Files* files_;
  LocalOptions options_;
  SupervisorPool pool_;
  std::map<std::int64_t, Followed> followed_;
};

// The program beside this one, or of that name: the path to give to posix_spawn. Order: `given`,
// RATION_TRAINER_PROGRAM, ration-train beside this program, ration-train on PATH.
// ErrorKind::resource when there is none.
Result<Path> find_trainer(const std::string& given);

// The file of the running program.
Path this_program();

}  // namespace ration::scheduler
