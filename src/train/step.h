#pragma once

// One optimiser step: forward and backward over micro-batches, clip, AdamW.

#include <ATen/core/Tensor.h>

#include "train/adamw.h"
#include "train/model.h"
#include "train/processes/group.h"
#include "train/reward_gradients.h"

namespace ration::train {

// Sequences of a batch that come from one source.
struct BatchPart {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::size_t source = 0;  // auxiliary one; of no meaning in the first part, the target's
};

// The sequences of one step: int64 [n, T].
struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
  // Where results of parts are asked for: all sequences, the target's first.
  std::vector<BatchPart> parts = {};
  at::Tensor sources = {};      // int64 [n], as in TokenRows; undefined: all from the main data
  std::int64_t end_token = -1;  // as in TokenRows
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
  // Compares the parts' gradients, if given; a batch with parts is one process's alone.
  RewardGradients* rewards = nullptr;
  bool only_look = false;  // computes results, updates nothing; on the processor alone
};

struct PartResult {
  double loss = 0;  // mean over its tokens, nats
  // Of the target's mean gradient and its own, over the reward parameters; not of the target.
  data::GradientSums sums = {};
};

struct StepResult {
  double loss = 0;                     // mean over the step's tokens, nats, before the update
  double grad_norm = 0;                // before clipping
  double clip = 1;                     // coefficient min(1, clip / (norm + 1e-6))
  bool updated = false;                // false: loss or norm was not finite, nothing was changed
  std::vector<PartResult> parts = {};  // of Batch::parts
  double policy_seconds = 0;  // spent on what only rewards need: gradients kept, compared, added up
};

// `sums` of gradients that were weighed as parts of a batch, brought to means over each part.
data::GradientSums of_means(const data::GradientSums& sums,
                            const Batch& batch,
                            const BatchPart& target,
                            const BatchPart& source);

StepResult train_step(Model& model,
                      AdamW& optimiser,
                      const Batch& batch,
                      const StepOptions& options);

}  // namespace ration::train
