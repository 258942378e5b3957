#pragma once

// The supervisors of this machine: small processes (`ration supervise`), each of which carries out
// one attempt at a time and then waits for the next. So a run does not pay for the start of a
// program besides its worker.
//
//   SupervisorPool pool("/usr/bin/ration");
//   const SupervisorPool::Started started = pool.start({.trainer = …, .run_folder = …}).value();
//   …once started.descriptor can be read…
//   std::optional<int> status = pool.ended(started.descriptor);
//
// One that carries out an attempt goes on when this process ends, and ends with the attempt; the
// others end with this process. Nothing here waits for a supervisor that somebody stopped
// (SIGSTOP): what it was asked for is carried out when it goes on.

#include <map>
#include <optional>
#include <vector>

#include "scheduler/supervisor.h"

namespace ration::scheduler {

class SupervisorPool {
 public:
  explicit SupervisorPool(Path ration) : ration_(std::move(ration)) {}
  ~SupervisorPool();
  SupervisorPool(const SupervisorPool&) = delete;
  SupervisorPool& operator=(const SupervisorPool&) = delete;

  struct Started {
    ProcessId process;    // in a session of its own
    int descriptor = -1;  // can be read when the attempt is over, or its supervisor has gone
  };

  // Of the options `hand_on_term` and `host` stay as they are.
  Result<Started> start(const SuperviseOptions& options);

  // The worker's exit status, as supervise() returns it; nothing when the supervisor has gone
  // before it could tell. The descriptor is of no use to the caller afterwards.
  std::optional<int> ended(int descriptor);

  // This one gets no further attempt: it was sent a signal, which may arrive late.
  void use_no_more(int descriptor);

 private:
  struct Supervisor {
    ProcessId process;
    bool spent = false;  // gets no further attempt
  };

  Result<int> open(const Path& folder);
  void close(int descriptor);
  static void reap(const ProcessId& process, double deadline);

  Path ration_;
  std::map<int, Supervisor> supervisors_;  // by our end of the socket that it listens to
  std::vector<int> idle_;                  // of these, the last used at the end
};

// `ration supervise`: carries out the attempts that are asked for over this socket, until its other
// end is closed. ErrorKind::usage where it is no such socket.
Result<int> serve_supervisors(int socket, Files& files);

}  // namespace ration::scheduler
