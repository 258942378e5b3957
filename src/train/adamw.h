#pragma once

// AdamW with decoupled weight decay ("Decoupled Weight Decay Regularization", 2019) over flat
// buffers, and the global gradient norm.

#include <ATen/core/Tensor.h>

#include "run/spec.h"
#include "train/parameters.h"

namespace ration::train {

// Euclidean norm of a flat buffer, summed in double in a fixed order.
double flat_norm(const at::Tensor& flat);

class AdamW {
 public:
  AdamW(const run::RunSpec& spec, const Parameters& parameters);

  // One update of what is tuned, with gradients multiplied by `grad_scale` (the clip coefficient).
  // Steps count from 1 inside.
  void step(Parameters& parameters, double lr, double grad_scale);

  // State for checkpoints: flat moments in the layout of the parameters, and the number of updates
  // made.
  at::Tensor& first_moment() { return first_; }
  at::Tensor& second_moment() { return second_; }
  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }

 private:
  double beta1_, beta2_, eps_, weight_decay_, hidden_rate_;
  bool one_rate_ = true;  // no tensor has a rate of its own
  at::Tensor first_, second_;
  std::int64_t updates_ = 0;
};

}  // namespace ration::train
