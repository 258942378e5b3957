#pragma once

// Where attempts are carried out. The engine knows this interface alone; local slots
// (local_executor.h) stand behind it, and a cluster's queue can.
//
// An attempt is recorded with its token before start() is called. After a restart find() says what
// became of it; its answer `absent` is a promise that it never starts.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "run/folder.h"

namespace ration::scheduler {

// One attempt to carry out.
struct Launch {
  std::int64_t attempt = 0;  // the database's id, used to speak about it
  Path run_folder;           // holds run.json
  int number = 0;            // attempt-<number>
  std::string token;         // 32 hex digits, of this attempt alone
  std::int64_t threads = 1;
  // Of the host's memory, in parts of what a first attempt gets; a cluster's jobs heed it.
  double memory_factor = 1;
  std::vector<std::string> avoid = {};  // machines not to use, where there is a choice
  std::vector<std::string> gpus = {};   // UUIDs of those to use; empty = whatever is there
  // The text of run.json, where the attempt itself makes the run's folder (Executor::remote()).
  std::string settings = {};
};

// Where an attempt runs.
struct Placement {
  std::string host;
  ProcessId process;
};

// What the executor knows of an attempt that was recorded before a restart.
struct Sighting {
  enum class Kind {
    alive,   // followed from now on; wait() will report its end
    ended,   // it is over
    absent,  // it was never started and never will be
  };
  Kind kind = Kind::ended;
  Placement placement = {};
};

class Executor {
 public:
  virtual ~Executor() = default;

  // What start() starts runs on other machines and may outlive this one; each attempt makes the
  // folder of its run where it is missing.
  virtual bool remote() const { return false; }
  // Starts an attempt and follows it.
  virtual Result<Placement> start(const Launch& launch) = 0;
  virtual Result<Sighting> find(const Launch& launch, const Placement& recorded) = 0;
  // Ids of attempts that ended. Returns when there is one, after `seconds`, or when `wake` (a file
  // descriptor, -1 = none) becomes readable.
  virtual Result<std::vector<std::int64_t>> wait(double seconds, int wake) = 0;
  // Attempts that may have begun and are not over, in ascending order. Of the others there is
  // nothing to read yet: a queue may hold ten thousand of them.
  virtual std::vector<std::int64_t> begun() const = 0;
  // It was handed to whoever carries it out, or may have been.
  virtual bool handed_on(std::int64_t /*attempt*/) const { return true; }
  // Asks the worker to checkpoint and leave; with `force`, ends it. Nothing when it is over.
  virtual void stop(std::int64_t attempt, bool force) = 0;
};

}  // namespace ration::scheduler
