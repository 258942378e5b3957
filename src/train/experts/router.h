#pragma once

// Which experts compute a unit: a distribution over E experts for each of B x U units, by one of
// the rules of docs/experts.md. Sources: "Soft Merging of Experts with Adaptive Routing" (2023) for
// smear and what it is compared with; "DSelect-k" (2021); "Combining Modular Skills in Multitask
// Learning" (2022) for skills; "AdaMix" (2022) for random.

#include <ATen/core/Tensor.h>

#include "run/spec.h"
#include "train/dropout.h"
#include "train/experts/places.h"
#include "train/experts/routing.h"
#include "train/parameters.h"

namespace ration::train::experts {

class Router {
 public:
  Router(const run::RunSpec& spec, const Parameters& parameters, std::int64_t layer);

  // h [B,T,d]: the states that enter the block. Outputs are mixed, not weights, where mixes().
  Routing route(const at::Tensor& h,
                const Places& places,
                const BatchPlace* training,
                const Intervention* intervention = nullptr) const;
  bool mixes() const { return mixes_; }

  // What is added to the sum over tokens of their losses [B,T], for the router's sake; undefined:
  // nothing.
  at::Tensor penalty(const Routing& routing,
                     const Places& places,
                     const at::Tensor& token_losses) const;

 private:
  enum class Purpose : std::uint64_t { dropout, gumbel, sample, expert, second_expert, relaxed };

  bool chooses_one() const;
  at::Tensor logits(const at::Tensor& state) const;
  at::Tensor dropped(const at::Tensor& p, const BatchPlace& place) const;
  at::Tensor uniform(const BatchPlace& place, Purpose purpose, at::IntArrayRef sizes) const;
  at::Tensor one_hot(const at::Tensor& choice, at::ScalarType type) const;
  Routing by_state(const at::Tensor& h, const Places& places, const BatchPlace* training) const;
  Routing chosen(const at::Tensor& logits,
                 const at::Tensor& state,
                 const BatchPlace* training) const;
  Routing given(const Places& places, const BatchPlace* training) const;
  at::Tensor hashed(const Places& places) const;
  at::Tensor smooth_step(const at::Tensor& codes) const;
  double elapsed(const BatchPlace& place) const;
  double temperature(const BatchPlace& place) const;
  void change(Routing& routing, const Intervention& intervention) const;
  void leave_out(Routing& routing, std::int64_t expert) const;

  run::RunSpec spec_;
  std::int64_t layer_, experts_, steps_, most_units_;
  bool mixes_;
  at::ScalarType type_;
  at::Tensor gain_, bias_, columns_, column_gain_, skills_;
  at::Tensor baseline_in_, baseline_in_bias_, baseline_out_, baseline_out_bias_;
};

}  // namespace ration::train::experts
