#pragma once

// Training of some tensors of a model in the plainest way: LibTorch's automatic gradient of the
// definition of the model, and AdamW tensor by tensor from its formula.

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "train/model.h"
#include "train/step.h"
#include "train/width_rule.h"

namespace ration::train {

struct TrainedTensor {
  std::string name;
  at::Tensor value;
  at::Tensor first = {}, second = {};
};

class ReferenceSteps {
 public:
  struct Seen {
    double loss, grad_norm;
  };

  // In double, from the weights that `spec` draws.
  ReferenceSteps(const run::RunSpec& spec, std::function<bool(const TrainedTensor&)> is_tuned)
      : spec_(spec), model_(spec, at::kDouble) {
    for (const Parameters::Entry& entry : model_.parameters().entries()) {
      TrainedTensor tensor{.name = entry.shape.name, .value = entry.value};
      hidden_.push_back(entry.shape.hidden);
      tuned_.push_back(is_tuned(tensor));
      tensor.first = at::zeros_like(entry.value), tensor.second = at::zeros_like(entry.value);
      tensors_.push_back(std::move(tensor));
    }
  }

  Seen step(const Batch& batch, double lr) {
    model_.parameters().grads().zero_();
    const at::Tensor sum = model_.loss_sum(model_.logits(batch.inputs), batch.targets);
    const at::Tensor mean = sum / static_cast<double>(batch.tokens());
    mean.backward();
    double square = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (tuned_[i]) square += at::square(tensors_[i].value.grad()).sum().item<double>();
    const double norm = std::sqrt(square), clip = std::min(1.0, spec_.clip / (norm + 1e-6));
    ++updates_;
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (tuned_[i]) update(tensors_[i], lr, clip, hidden_[i]);
    return {mean.item<double>(), norm};
  }

  const std::vector<TrainedTensor>& tensors() const { return tensors_; }

 private:
  void update(TrainedTensor& tensor, double lr, double clip, bool hidden) const {
    const at::Tensor gradient = tensor.value.grad() * clip;
    tensor.first = spec_.beta1 * tensor.first + (1 - spec_.beta1) * gradient;
    tensor.second = spec_.beta2 * tensor.second + (1 - spec_.beta2) * at::square(gradient);
    const at::Tensor m = tensor.first / (1 - std::pow(spec_.beta1, updates_));
    const at::Tensor v = tensor.second / (1 - std::pow(spec_.beta2, updates_));
    const bool matrix = tensor.value.dim() >= 2;
    const double rate = hidden && matrix ? lr * WidthRule(spec_).hidden_rate : lr;
    at::Tensor value = tensor.value.detach();
    if (matrix) value.mul_(1 - lr * spec_.weight_decay);
    value.sub_(rate * m / (v.sqrt() + spec_.adam_eps));
  }

  run::RunSpec spec_;
  Model model_;
  std::vector<TrainedTensor> tensors_;
  std::vector<bool> hidden_, tuned_;
  double updates_ = 0;
};

}  // namespace ration::train
