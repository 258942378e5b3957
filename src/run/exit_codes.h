#pragma once

// How a worker ends. Its supervisor writes the number to `exit` in the attempt's folder.

namespace ration::run {

enum class WorkerExit : int {
  done = 0,
  other = 1,     // anything not below
  usage = 2,     // command line or run.json is wrong
  data = 3,      // shard missing, damaged or of another digest
  diverged = 4,  // a result: never retried silently
  out_of_memory = 5,
  fenced = 6,              // a higher attempt owns the run
  preempted = 75,          // checkpointed, continue later
  preempted_at_once = 76,  // second signal: nothing written
};

}  // namespace ration::run
