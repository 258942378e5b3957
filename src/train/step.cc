#include "train/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/stopwatch.h"

namespace ration::train {

TokenRows Batch::rows(std::int64_t first, std::int64_t count) const {
  const std::int64_t positions = inputs.size(1);
  return {.inputs = inputs.const_data_ptr<std::int64_t>() + first * positions,
          .targets = targets.const_data_ptr<std::int64_t>() + first * positions,
          .sequences = count,
          .positions = positions,
          .sources = sources.defined() ? sources.const_data_ptr<std::int64_t>() + first : nullptr,
          .end_token = end_token};
}

namespace {

// One part after the other, so that each one's loss and gradient can be told apart; `add` adds the
// gradients of sequences [begin, stop) and returns their sum of losses.
template <class Add>
std::vector<PartResult> add_parts(const Batch& batch,
                                  const at::Tensor& grads,
                                  RewardGradients* rewards,
                                  double& policy_seconds,
                                  const Add& add) {
  std::vector<PartResult> results;
  for (const BatchPart& part : batch.parts) {
    const double tokens = static_cast<double>(part.count * batch.inputs.size(1));
    PartResult result;
    if (part.count > 0) result.loss = add(part.first, part.first + part.count) / tokens;
    if (rewards != nullptr) {
      const Stopwatch watch(policy_seconds);
      if (results.empty())
        rewards->take_target(grads);
      else
        result.sums = of_means(rewards->compare(grads), batch, batch.parts[0], part);
      rewards->set_aside(grads);
    }
    results.push_back(result);
  }
  if (rewards != nullptr) {
    const Stopwatch watch(policy_seconds);
    rewards->give_back(grads);
  }
  return results;
}

}  // namespace

data::GradientSums of_means(const data::GradientSums& sums,
                            const Batch& batch,
                            const BatchPart& target,
                            const BatchPart& source) {
  if (target.count == 0) return {};
  const auto all = static_cast<double>(batch.sequences());
  const double t = all / static_cast<double>(target.count);
  const double s = all / static_cast<double>(source.count);
  return {.dot = t * s * sums.dot,
          .target_square = t * t * sums.target_square,
          .source_square = s * s * sums.source_square};
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
  const std::int64_t micro = options.micro_batch > 0 ? options.micro_batch : batch.sequences();
  const double per_token = 1.0 / static_cast<double>(batch.tokens());
  StepResult result;
  const auto add = [&](std::int64_t begin, std::int64_t stop) {
    double loss = 0;
    for (std::int64_t first = begin; first < stop; first += micro) {
      const std::int64_t count = std::min(micro, stop - first);
      const BatchPlace place{.step = options.step, .first_sequence = first};
      loss += model.passes().add_gradients(batch.rows(first, count), place, per_token);
    }
    parameters.clear_frozen_gradients();
    return loss;
  };
  if (batch.parts.empty()) {
    result.loss = add(share.first, share.first + share.count) * per_token;
  } else {
    result.parts =
        add_parts(batch, parameters.grads(), options.rewards, result.policy_seconds, add);
    for (std::size_t i = 0; i < batch.parts.size(); ++i)
      result.loss += result.parts[i].loss * static_cast<double>(batch.parts[i].count) /
                     static_cast<double>(batch.sequences());
    if (options.only_look) return result;
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
