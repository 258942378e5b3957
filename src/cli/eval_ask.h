#pragma once

// The worker asked what the choices of a task cost some weights.

#include <cstdint>

#include "base/files.h"
#include "cli/command.h"
#include "eval/pairs/answer.h"

namespace ration::cli {

struct Asked {
  Path weights;                   // a checkpoint's folder, or a safetensors file
  Path like = {};                 // run folder whose settings a file has; empty = it lies in a run
  std::int64_t batch_tokens = 0;  // 0 = the worker's own
  std::int64_t threads = 0;       // 0 = the run's setting
  const Console* console = nullptr;  // gets what the worker says; null = nobody
};

// Runs `trainer` and waits for it. Errors: those of call_trainer() and eval::parse_scores(), with
// which it leaves nothing behind.
Result<eval::PairScores> ask_choices(const Path& trainer,
                                     const Asked& asked,
                                     const eval::Request& request);

}  // namespace ration::cli
