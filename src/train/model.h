#pragma once

// The decoder: logits and loss of a batch. Shapes: B sequences, T positions, C width, V vocabulary,
// H heads. The formulas stand in docs/training.md; known answers in
// tests/vectors/gpt_reference.json.

#include <ATen/core/Tensor.h>

#include "run/spec.h"
#include "train/dropout.h"
#include "train/experts/places.h"
#include "train/experts/routing.h"
#include "train/parameters.h"
#include "train/passes.h"
#include "train/width_rule.h"

namespace ration::train {

namespace experts {
class Layer;
}

// logits() is the definition, in LibTorch's operators and differentiable.
class Model {
 public:
  // A resolved and checked spec. Allocates and initialises all parameters.
  Model(const run::RunSpec& spec, at::ScalarType dtype);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // [B,T] int64 ids -> [B,T,V]. With a place, dropout is on.
  at::Tensor logits(const at::Tensor& tokens,
                    const BatchPlace* training = nullptr,
                    const experts::About& about = {}) const;

  // Without dropout: h behind the embedding and behind each layer, [B,T,C], and the logits.
  std::vector<at::Tensor> activations(const at::Tensor& tokens) const;

  // Sum over the B T targets of -ln p(target), a scalar.
  at::Tensor loss_sum(const at::Tensor& logits, const at::Tensor& targets) const;
  // What training minimises, summed over the targets: the loss plus z_loss * logsumexp^2.
  at::Tensor objective_sum(const at::Tensor& logits, const at::Tensor& loss_sum) const;
  // All of the above, and what routers of experts add for their own sake.
  at::Tensor objective(const at::Tensor& tokens,
                       const at::Tensor& targets,
                       const BatchPlace* training,
                       const experts::About& about) const;

  // How each layer with experts routes a batch at evaluation, and the logits. `intervention` acts
  // on the one of these layers that it names, or on all.
  struct Routings {
    std::vector<experts::Routing> layers;
    experts::Places places;
    at::Tensor logits;
  };
  Routings routings(const at::Tensor& tokens,
                    const experts::About& about,
                    const experts::Intervention* intervention = nullptr) const;

  Parameters& parameters() { return parameters_; }

  // What training and evaluation run: the same function, with its gradient, in a form made for
  // speed. It holds working memory: one caller at a time.
  Passes& passes() const { return *passes_; }
  // Other passes for the same parameters, of a model whose weights lie on a GPU.
  void evaluate_with(std::unique_ptr<Passes> passes) { passes_ = std::move(passes); }

 private:
  struct Layer {
    at::Tensor norm1_gain, norm1_bias, qkv, qkv_bias, out, out_bias;
    at::Tensor norm2_gain, norm2_bias, gate, gate_bias, up, up_bias, down, down_bias;
  };

  at::Tensor norm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& bias) const;
  at::Tensor rotated(const at::Tensor& x) const;
  at::Tensor attention(const Layer& layer,
                       const at::Tensor& x,
                       std::int64_t index,
                       const BatchPlace* training) const;
  at::Tensor mlp(const Layer& layer, const at::Tensor& x) const;
  struct Computed {
    std::vector<at::Tensor> states;  // behind the embedding and each layer, and the logits
    std::vector<experts::Routing> routings;
    experts::Places places;
  };
  Computed computed(const at::Tensor& tokens,
                    const BatchPlace* training,
                    const experts::About& about,
                    const experts::Intervention* intervention = nullptr) const;

  run::RunSpec spec_;
  Parameters parameters_;
  WidthRule rule_;
  std::unique_ptr<Passes> passes_;
  Dropout dropout_;
  std::vector<Layer> layers_;
  std::vector<std::unique_ptr<experts::Layer>> experts_;  // of each layer; null: it has none
  at::Tensor embedding_, positions_, final_gain_, final_bias_, head_;
  at::Tensor rotary_cos_, rotary_sin_;  // [T, D]
};

}  // namespace ration::train
