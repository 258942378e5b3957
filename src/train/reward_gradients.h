#pragma once

// Gradients of the parts of a step, compared: what the rewards of exp3 and ucb1 are made of.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/policy/rewards.h"
#include "run/spec.h"
#include "train/parameters.h"

namespace ration::train {

// True for the tensors that reward_params names.
bool is_reward_parameter(const run::RunSpec& spec, std::string_view tensor);

// Where such a tensor lies in a flat buffer of gradients.
struct Region {
  std::int64_t offset = 0;  // elements
  std::int64_t length = 0;
  std::uint64_t tensor = 0;  // its number in tensor_shapes(), that a projection hashes
};
std::vector<Region> reward_regions(const run::RunSpec& spec, const Parameters& parameters);

class RewardGradients {
 public:
  RewardGradients(const run::RunSpec& spec, std::vector<Region> regions);

  // Begins a step: the target's gradient, then those of sources: flat buffers on any device, of any
  // scale. The sums are of the gradients as they are, in double and in a fixed order.
  void take_target(const at::Tensor& flat);
  data::GradientSums compare(const at::Tensor& flat) const;

  // Takes the regions out of a buffer that goes on summing, and puts the sum of all that was taken
  // back.
  void set_aside(const at::Tensor& flat);
  void give_back(const at::Tensor& flat);

 private:
  at::Tensor regions_of(const at::Tensor& flat) const;
  at::Tensor projected(const at::Tensor& flat) const;
  at::Tensor compared(const at::Tensor& flat) const;

  std::vector<Region> regions_;
  bool project_;
  at::Tensor target_;
  at::Tensor aside_;
};

}  // namespace ration::train
