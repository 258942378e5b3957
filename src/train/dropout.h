#pragma once

// Dropout whose masks depend on nothing but (seed, step, layer, site) and the place in the batch:
// the same for any micro-batch and after any resume.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/cpu/rows.h"

namespace ration::train {

enum class DropoutSite : std::uint64_t {
  embedding = 0,
  attention_weights = 1,
  attention_branch = 2,
  mlp_branch = 3
};

// Where a micro-batch stands in the run.
struct BatchPlace {
  std::int64_t step = 0;
  std::int64_t first_sequence = 0;  // of the step's batch
};

class Dropout {
 public:
  Dropout(double probability, std::uint64_t seed) : probability_(probability), seed_(seed) {}

  bool active() const { return probability_ > 0; }

  // The same masks for the kernels.
  cpu::Mask mask(const BatchPlace& place, std::int64_t layer, DropoutSite site) const;

  // x with elements zeroed with the probability and the rest divided by (1 - probability). The
  // first axis of x is the sequence.
  at::Tensor apply(const at::Tensor& x,
                   const BatchPlace& place,
                   std::int64_t layer,
                   DropoutSite site) const;

 private:
  double probability_;
  std::uint64_t seed_;
};

}  // namespace ration::train
