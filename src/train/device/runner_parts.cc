// A step whose parts are told apart: each one's loss, and how its gradient agrees with the
// target's.

#include <ATen/ATen.h>

#include "run/mixture.h"
#include "train/device/runner.h"
#include "train/stopwatch.h"

namespace ration::train::device {

using kernels::BFloat16;

// Sizes vary from part to part and step to step, so these are never recorded.
template <class T>
typename Runner<T>::Plan& Runner<T>::plan_of_part(std::int64_t first,
                                                  std::int64_t count,
                                                  std::int64_t step_sequences) {
  const std::int64_t place = spec_.dropout > 0 ? first : 0;  // nothing else depends on it
  const std::array<std::int64_t, 3> key = {place, count, step_sequences};
  const auto found = part_plans_.find(key);
  if (found != part_plans_.end()) return found->second;
  Plan plan = make_plan({.first = place, .count = count}, step_sequences);
  return part_plans_.emplace(key, std::move(plan)).first->second;
}

template <class T>
void Runner<T>::prepare_parts() {
  if (rewards_) return;
  std::vector<Region> regions;
  std::uint64_t number = 0;
  for (const TensorShape& tensor : tensor_shapes(spec_)) {
    const Slot& slot = *layout_.find(tensor.name);
    if (is_reward_parameter(spec_, tensor.name))
      regions.push_back(
          {.offset = slot.offset, .length = slot.rows * slot.columns, .tensor = number});
    ++number;
  }
  rewards_ = std::make_unique<RewardGradients>(spec_, std::move(regions));
  total_ = at::zeros_like(grads_);
}

// The gradients of each part by themselves, then the update by their sum.
template <class T>
void Runner<T>::submit_parts(const RunStep& step) {
  prepare_parts();
  const Batch& batch = *step.batch;
  const bool compares = run::reads_gradients(spec_);
  Parts all;
  double loss = 0;
  Plan* last = nullptr;
  total_.zero_();
  for (const BatchPart& part : batch.parts) {
    PartResult result;
    grads_.zero_();
    if (part.count > 0) {
      last = &plan_of_part(part.first, part.count, batch.sequences());
      const Batch own{batch.inputs.narrow(0, part.first, part.count),
                      batch.targets.narrow(0, part.first, part.count)};
      RunStep of_part = step;
      of_part.batch = &own;
      bring(*last, {&of_part, 1});
      compute_gradients(*last);
      // This waits for the gradients, so what follows is timed alone.
      const double share = results_.cpu().view(at::kDouble).template const_data_ptr<double>()[0];
      loss += share;
      result.loss =
          share * static_cast<double>(batch.sequences()) / static_cast<double>(part.count);
    }
    const Stopwatch watch(all.policy_seconds);
    total_.add_(grads_);
    const at::Tensor flat = grads_.view(-1);  // of the only run
    if (compares && all.results.empty())
      rewards_->take_target(flat);
    else if (compares)
      result.sums = of_means(rewards_->compare(flat), batch, batch.parts[0], part);
    all.results.push_back(result);
    finish(options_.device);
  }
  {
    const Stopwatch watch(all.policy_seconds);
    grads_.copy_(total_);
    finish(options_.device);
  }
  results_.view(at::kDouble).narrow(0, 0, 1).fill_(loss);
  update(*last);  // the controls of every part are those of the step
  parts_.push_back(std::move(all));
  receipts_.push_back(send_back(results_));
}

template void Runner<double>::submit_parts(const RunStep&);
template void Runner<float>::submit_parts(const RunStep&);
template void Runner<BFloat16>::submit_parts(const RunStep&);

}  // namespace ration::train::device
