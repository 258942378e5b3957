#include "train/logit_bias.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ration::train {

at::Tensor fit_logit_bias(const Model& model,
                          const run::PointProbe& probe,
                          const std::function<Batch()>& next) {
  const c10::InferenceMode no_gradients;
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;
  at::Tensor bias, first, second;
  for (std::int64_t step = 1; step <= probe.steps; ++step) {
    const Batch batch = next();
    const at::Tensor logits = model.logits(batch.inputs);
    const std::int64_t vocab = logits.size(-1);
    if (!bias.defined()) {
      bias = at::zeros({vocab}, at::kDouble);
      first = at::zeros_like(bias), second = at::zeros_like(bias);
    }
    const at::Tensor predicted =
        at::softmax(logits.view({-1, vocab}) + bias.to(logits.scalar_type()), -1).sum(0);
    const at::Tensor seen = at::bincount(batch.targets.view(-1), {}, vocab);
    const at::Tensor gradient =
        (predicted.to(at::kDouble) - seen.to(at::kDouble)) / static_cast<double>(batch.tokens());
    first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
    second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
    const auto t = static_cast<double>(step);
    const double size = probe.lr / (1 - std::pow(kBeta1, t));
    const double correction = std::sqrt(1 - std::pow(kBeta2, t));
    bias.addcdiv_(first, second.sqrt().div_(correction).add_(kEps), -size);
  }
  return bias;
}

std::vector<double> window_losses_with(const Model& model,
                                       const Windows& windows,
                                       const at::Tensor& bias) {
  const c10::InferenceMode no_gradients;
  constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 22;
  std::vector<double> losses(static_cast<std::size_t>(windows.count()));
  std::vector<std::uint32_t> order(losses.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::int64_t of_window = windows.context() * bias.numel();
  const auto at_once =
      static_cast<std::size_t>(std::max<std::int64_t>(1, kLogitsAtOnce / of_window));
  for (std::size_t begin = 0; begin < order.size(); begin += at_once) {
    const std::size_t count = std::min(at_once, order.size() - begin);
    const Batch batch = windows.batch(std::span(order).subspan(begin, count));
    const at::Tensor logits = model.logits(batch.inputs);
    const at::Tensor of_tokens = at::log_softmax(logits + bias.to(logits.scalar_type()), -1)
                                     .gather(-1, batch.targets.unsqueeze(-1))
                                     .squeeze(-1);
    const at::Tensor means = of_tokens.to(at::kDouble).mean(1).neg().contiguous();
    std::copy_n(
        means.const_data_ptr<double>(), count, losses.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return losses;
}

}  // namespace ration::train
