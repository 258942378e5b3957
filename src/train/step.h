#pragma once

// One optimiser step: forward and backward over micro-batches, clip, AdamW.

#include <ATen/core/Tensor.h>

#include "train/adamw.h"
#include "train/model.h"
#include "train/processes/group.h"

namespace ration::train {

// The sequences of one step: int64 [n, T].
struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
  std::int64_t sequences() const { return inputs.size(0); }
  std::int64_t tokens() const { return inputs.numel(); }
  // Sequences [first, first + count) as the passes take them; the batch must outlive the result.
  TokenRows rows(std::int64_t first, std::int64_t count) const;
};

struct StepOptions {
  double lr = 0;
  double clip = 1;               // largest gradient norm; 0 never clips
  std::int64_t micro_batch = 0;  // sequences computed at once; 0 = all
  std::int64_t step = 0;         // 0-based; keys the dropout
  StageClock* stages = nullptr;  // told where the time goes, if given
  Group* group = nullptr;        // whose processes share the batch; none: this one has it all
};

struct StepResult {
  double loss = 0;       // mean over the step's tokens, nats, before the update
  double grad_norm = 0;  // before clipping
  double clip = 1;       // coefficient min(1, clip / (norm + 1e-6))
  bool updated = false;  // false: loss or norm was not finite, nothing was changed
};

StepResult train_step(Model& model,
                      AdamW& optimiser,
                      const Batch& batch,
                      const StepOptions& options);

}  // namespace ration::train
