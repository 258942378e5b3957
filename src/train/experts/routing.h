#pragma once

// What a router says, in values. Shapes: B sequences, U routed units of each (places.h), E experts.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace ration::train::experts {

struct Routing {
  at::Tensor weights = {};  // [B,U,E], rows of sum 1, what computes; undefined: all experts alike
  at::Tensor second = {};   // the same for an expert's last map, where another one computes it
  at::Tensor scale = {};    // [B,U], of the output; undefined: 1
  at::Tensor soft = {};     // [B,U,E], what the router thinks, for losses and reports
  at::Tensor log_chosen = {}, expected_loss = {};  // [B,U], reinforce
};

// An experiment on trained routers, for reports: without an expert, or with given weights.
struct Intervention {
  std::int64_t layer = -1;    // of the model, which alone is changed; -1: all
  std::int64_t without = -1;  // this expert's weight becomes 0, the others' are scaled up; -1: none
  at::Tensor weights = {};    // [layers,E] in place of each unit's; undefined: as routed
};

}  // namespace ration::train::experts
