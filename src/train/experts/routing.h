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
  double entropy_weight = 0;                       // of the penalty, dselect
};

// An experiment on trained routers at evaluation, for reports: without an expert, or with given
// weights. What nothing routes still takes all experts alike.
//
// Without an expert, p of the others is scaled up to a sum of 1, and the router's rule applies to
// it: routers that choose one take the next best, with its p for a scale where they have one; tag
// and hash, which have no p, name the next expert by number.
struct Intervention {
  std::int64_t layer = -1;    // of the model, which alone is changed; -1: all
  std::int64_t without = -1;  // the expert; -1: none is left out
  at::Tensor weights = {};    // [layers,E] in place of each unit's; undefined: as routed
};

}  // namespace ration::train::experts
