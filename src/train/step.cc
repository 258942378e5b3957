#include "train/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace ration::train {

TokenRows Batch::rows(std::int64_t first, std::int64_t count) const {
  const std::int64_t positions = inputs.size(1);
  return {.inputs = inputs.const_data_ptr<std::int64_t>() + first * positions,
          .targets = targets.const_data_ptr<std::int64_t>() + first * positions,
          .sequences = count,
          .positions = positions};
}

StepResult train_step(Model& model,
                      AdamW& optimiser,
                      const Batch& batch,
                      const StepOptions& options) {
  const auto lap = [&](Stage stage) {
    if (options.stages != nullptr) options.stages->lap(stage);
  };
  Parameters& parameters = model.parameters();
  model.passes().time_stages(options.stages);
  parameters.grads().zero_();
  lap(Stage::rest);
  const std::unique_ptr<Group> single = options.group == nullptr ? alone() : nullptr;
  Group& group = options.group == nullptr ? *single : *options.group;
  const Share share = share_of(batch.sequences(), group);
  const std::int64_t end = share.first + share.count;
  const std::int64_t micro = options.micro_batch > 0 ? options.micro_batch : batch.sequences();
  const double per_token = 1.0 / static_cast<double>(batch.tokens());
  StepResult result;
  for (std::int64_t first = share.first; first < end; first += micro) {
    const std::int64_t count = std::min(micro, end - first);
    const BatchPlace place{.step = options.step, .first_sequence = first};
    result.loss +=
        model.passes().add_gradients(batch.rows(first, count), place, per_token) * per_token;
  }
  if (group.size() > 1) {
    lap(Stage::rest);
    group.sum(parameters.grads());
    result.loss = group.sum(result.loss);
    lap(Stage::processes);
  }
  result.grad_norm = flat_norm(parameters.grads());
  lap(Stage::optimiser);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) return result;
  constexpr double kNormFloor = 1e-6;
  if (options.clip > 0) result.clip = std::min(1.0, options.clip / (result.grad_norm + kNormFloor));
  optimiser.step(parameters, options.lr, result.clip);
  lap(Stage::optimiser);
  result.updated = true;
  return result;
}

}  // namespace ration::train
