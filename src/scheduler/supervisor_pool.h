#pragma once

// Where supervisors come from: one small process (`ration supervise`), started with the first
// attempt, that copies itself for each. A copy is made in a fraction of the time that a program
// takes to be started and linked anew, however large the scheduler is by then.
//
//   SupervisorPool pool("/usr/bin/ration");
//   const std::int64_t pid = pool.start({.trainer = …, .run_folder = …}).value();

#include <sys/types.h>

#include "scheduler/supervisor.h"

namespace ration::scheduler {

class SupervisorPool {
 public:
  explicit SupervisorPool(Path ration) : ration_(std::move(ration)) {}
  ~SupervisorPool();  // supervisors go on
  SupervisorPool(const SupervisorPool&) = delete;
  SupervisorPool& operator=(const SupervisorPool&) = delete;

  // The number of a new supervisor, in a session of its own and a child of this process, which must
  // wait for it. Of the options `hand_on_term` and `host` stay as they are.
  Result<std::int64_t> start(const SuperviseOptions& options);

 private:
  Result<void> open();
  void close();

  Path ration_;
  int socket_ = -1;
  pid_t process_ = 0;
};

// `ration supervise`: starts the supervisors that are asked for over this socket, until its other
// end is closed. ErrorKind::usage where it is no such socket.
Result<int> serve_supervisors(int socket, Files& files);

}  // namespace ration::scheduler
