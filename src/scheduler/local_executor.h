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
  void stop(std::int64_t attempt, bool force) override;

 private:
  // An attempt that is alive: its supervisor, or its worker alone once the supervisor is gone.
  struct Followed {
    Launch launch;
    ProcessId process;
    int descriptor = -1;     // pidfd; -1 where the system has none
    bool supervisor = true;  // false: the process is the worker
  };

  std::optional<Sighting> sight_living(const Launch& launch, const Placement& recorded);
  void follow(const Launch& launch, const ProcessId& process, bool supervisor);
  // Those whose process is no more, after `seconds` at most.
  std::vector<std::int64_t> gone(double seconds, int wake) const;
  // True when the attempt is over; otherwise its worker lives on and is followed.
  bool reap(Followed& followed);

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
