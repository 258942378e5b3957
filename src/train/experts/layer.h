#pragma once

// Routed experts in place of the MLP of one layer, or beside it: y [B,T,d] of the layer's states,
// in LibTorch's operators and differentiable. With weights p over experts, an expert theta = sum_e
// p_e theta_e computes all tokens of a unit:
//
//   forward    theta = p Theta, y = f(x; theta)          p [units,E], Theta [E,P_e]
//   backward   dTheta = p' dtheta, dp = dtheta Theta'
//
// Merging is one product a tensor, computing one product of a batch of matrices a tensor.

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "run/spec.h"
#include "train/dropout.h"
#include "train/experts/places.h"
#include "train/experts/router.h"
#include "train/parameters.h"

namespace ration::train::experts {

struct Routed {
  at::Tensor y;  // [B,T,d]
  Routing routing;
};

class Layer {
 public:
  // The parameters must outlive the layer and keep their buffers; gradients are added to theirs.
  Layer(const run::RunSpec& spec, const Parameters& parameters, std::int64_t layer);

  // h: what enters the block, [B,T,d]. x: its norm; for adapters what the shared MLP makes of it.
  Routed forward(const at::Tensor& h,
                 const at::Tensor& x,
                 const Places& places,
                 const BatchPlace* training,
                 const Intervention* intervention = nullptr) const;

  const Router& router() const { return router_; }

 private:
  // One tensor of all experts, a row an expert.
  struct Stack {
    at::Tensor rows;  // [E, numbers or more], over the buffer of the parameters
    std::vector<std::int64_t> shape;
    std::int64_t numbers = 0;
    bool last = false;  // of an expert's last map
  };
  struct Map {
    Stack weight;
    std::optional<Stack> bias;
  };
  // Which weights compute: those of one expert, of all alike, or merged for each unit.
  struct Pick {
    std::int64_t expert = -1;
    at::Tensor weights = {}, second = {};  // [N,E]
  };

  Stack stack(const Parameters& parameters, const std::string& name, bool last) const;
  Map map(const Parameters& parameters, const std::string& name, bool last) const;
  at::Tensor picked(const Stack& stack, const Pick& pick) const;
  at::Tensor affine(const at::Tensor& x, const Map& map, const Pick& pick) const;
  at::Tensor through_factors(const at::Tensor& x, std::size_t first, const Pick& pick) const;
  at::Tensor activated(const at::Tensor& up, const at::Tensor& gate) const;
  at::Tensor expert(const at::Tensor& x, const Pick& pick) const;
  at::Tensor merged(const at::Tensor& x, const Places& places, const Routing& routing) const;
  at::Tensor mixed(const at::Tensor& x, const Places& places, const Routing& routing) const;

  run::RunSpec spec_;
  std::string name_;
  std::int64_t experts_;
  Router router_;
  std::vector<Map> maps_;  // up, gate (swiglu), down; of factors the one after the other
  bool gated_, adapter_, lowrank_;
  std::vector<at::Tensor> shared_;  // weight and bias of up, gate, down; lowrank alone
};

}  // namespace ration::train::experts
