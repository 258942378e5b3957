#pragma once

// The numbers of a run on its way, stored with every checkpoint. With weights, moments and the
// place in the data they are all that a resume needs: the rest follows from the spec.

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "run/spec.h"

namespace ration::train {

// Steps begin + 1 … end, as they are counted in the log.
struct StepRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

struct Progress {
  std::int64_t step = 0;     // optimiser steps done, skipped ones included
  std::int64_t windows = 0;  // sequences used
  std::int64_t updates = 0;  // steps that changed the weights
  double best_loss = 0;      // lowest held-out loss so far; meaningless while best_step < 0
  std::int64_t best_step = -1;
  double logged_loss = 0;  // sum of losses since the last train line
  std::int64_t logged_steps = 0;
  std::int64_t clipped = 0;      // of those, how many were clipped
  double last_train_loss = 0;    // mean of the last train line
  std::int64_t micro_batch = 0;  // smaller than asked for since memory ran out; 0 = as asked for
  std::int64_t rewinds = 0;
  std::vector<StepRange> left_out = {};  // steps whose batches a rewind passes over, ascending
};

Json to_json(const Progress& progress);
Progress progress_from(const Json& json);

// The four counts of parameters and the FLOPs of a token under every convention, as logs and
// results say them.
Json param_counts(const run::RunSpec& spec);
Json flops_per_token(const run::RunSpec& spec);
// FLOPs of the whole run under every convention, those of its policy included.
Json run_flops(const run::RunSpec& spec);
// Those of its tokens alone, times 1 + what its policy was measured to cost in time.
Json charged_flops(const run::RunSpec& spec, double policy_overhead);

}  // namespace ration::train
