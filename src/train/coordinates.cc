#include "train/coordinates.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "train/step.h"

namespace ration::train {
namespace {

Batch learnable_batch(const run::RunSpec& spec, std::int64_t step) {
  Stream stream(1, StreamId::windows, static_cast<std::uint64_t>(step));
  const at::Tensor tokens = at::empty({spec.batch_sequences, spec.context + 1}, at::kLong);
  auto* to = tokens.data_ptr<std::int64_t>();
  // Draws from a quarter of the vocabulary, so that there is something to learn.
  const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(2, spec.vocab / 4));
  for (std::int64_t i = 0; i < tokens.numel(); ++i)
    to[i] = static_cast<std::int64_t>(stream.below(used));
  return {tokens.narrow(1, 0, spec.context).contiguous(),
          tokens.narrow(1, 1, spec.context).contiguous()};
}

}  // namespace

double Coordinate::spread() const {
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  return *most / *least;
}

std::vector<Coordinate> coordinate_check(const run::RunSpec& spec,
                                         const std::vector<std::int64_t>& widths,
                                         std::int64_t steps) {
  std::vector<Coordinate> result;
  const std::int64_t head_width = spec.width / spec.heads;
  for (const std::int64_t width : widths) {
    run::RunSpec wide = spec;
    wide.width = width;
    wide.heads = width / head_width;
    wide.mlp_width = 0;
    wide = run::resolve(wide);
    Model model(wide, at::kFloat);
    AdamW optimiser(wide, model.parameters());
    const Batch batch = learnable_batch(wide, 0);
    const c10::NoGradGuard no_gradients;
    const std::vector<at::Tensor> before = model.activations(batch.inputs);
    for (std::int64_t step = 0; step < steps; ++step)
      train_step(model, optimiser, learnable_batch(wide, step), {.lr = wide.lr, .step = step});
    const std::vector<at::Tensor> after = model.activations(batch.inputs);
    result.resize(after.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
      const bool logits = i + 1 == after.size();
      result[i].name = logits   ? "logits changed by"
                       : i == 0 ? "embedding"
                                : fmt::format("layer {}", i - 1);
      // Logits begin at almost nothing in wide models; what they learn is what must not depend on
      // width.
      const at::Tensor seen = logits ? after[i] - before[i] : after[i];
      result[i].sizes.push_back(seen.abs().mean().item<double>());
    }
  }
  return result;
}

}  // namespace ration::train
