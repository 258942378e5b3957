#include "train/device/runs.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "run/experts.h"
#include "run/mixture.h"
#include "train/device/runner.h"

namespace ration::train::device {

std::unique_ptr<DeviceRuns> make_device_runs(std::vector<run::RunSpec> specs,
                                             const DeviceOptions& options) {
  const std::string precision = specs.at(0).precision;
  if (precision == "fp64") return std::make_unique<Runner<double>>(std::move(specs), options);
  if (precision == "fp32") return std::make_unique<Runner<float>>(std::move(specs), options);
  return std::make_unique<Runner<kernels::BFloat16>>(std::move(specs), options);
}

std::string why_not_packable(const run::RunSpec& a, const run::RunSpec& b) {
  const auto steps = [](const run::RunSpec& spec) {
    const std::int64_t windows = (spec.tokens + spec.context - 1) / spec.context;
    return (windows + spec.batch_sequences - 1) / spec.batch_sequences;
  };
  for (const run::RunSpec* spec : {&a, &b})
    if (!spec->points.empty()) return "one evaluates points and trains nothing";
  for (const run::RunSpec* spec : {&a, &b})
    if (run::is_online(*spec))
      return fmt::format(
          "policy \"{}\" looks at each step of its run before the next, so the run trains alone",
          spec->policy);
  if (run::has_experts(a) || run::has_experts(b))
    return "one has experts, which the processor's passes compute alone";
  if (steps(a) != steps(b))
    return fmt::format("one takes {} steps, the other {}", steps(a), steps(b));
  run::RunSpec same = b;  // b with what may differ taken from a
  same.seed = a.seed, same.subset_seed = a.subset_seed;
  same.data_digest = a.data_digest, same.unique_tokens = a.unique_tokens;
  same.val_tokens = a.val_tokens, same.tokens = a.tokens;
  same.lr = a.lr, same.weight_decay = a.weight_decay, same.clip = a.clip;
  same.schedule = a.schedule, same.warmup_fraction = a.warmup_fraction;
  same.final_lr_fraction = a.final_lr_fraction, same.decay_fraction = a.decay_fraction;
  same.init_std = a.init_std, same.init = a.init;
  same.aux = a.aux, same.aux_share = a.aux_share, same.aux_schedule = a.aux_schedule;
  same.mix_order = a.mix_order, same.policy = a.policy;
  if (same == a) return "";
  const Json left = run::to_json(a), right = run::to_json(same);
  for (const auto& [name, value] : left.items())
    if (right.value(name, Json()) != value) return fmt::format("{} differs", name);
  return "a setting differs";
}

std::int64_t predicted_bytes(const run::RunSpec& spec,
                             std::int64_t runs,
                             const DeviceOptions& options) {
  const std::int64_t narrow = spec.precision == "fp64" ? 8 : spec.precision == "fp32" ? 4 : 2;
  const std::int64_t wide = spec.precision == "fp64" ? 8 : 4;
  const Layout layout(spec, options.vocab_multiple);
  const std::int64_t d = spec.width, before = (spec.mlp == "swiglu" ? 2 : 1) * spec.mlp_width;
  const std::int64_t sequences = options.micro_batch > 0
                                     ? std::min(options.micro_batch, spec.batch_sequences)
                                     : spec.batch_sequences;
  const std::int64_t rows = sequences * spec.context;
  const std::int64_t weights = layout.size() * (4 * wide + (narrow == wide ? 0 : narrow));
  // Of one layer and row: the residual stream twice, both norms' outputs and statistics, q, k, v,
  // what attention returns, the MLP before and behind its non-linearity.
  const std::int64_t kept = wide * (d + 4) + narrow * (2 * d + 3 * d + d + before + spec.mlp_width);
  const std::int64_t layers =
      options.recompute ? spec.layers * wide * d + kept : spec.layers * (wide * d + kept);
  const std::int64_t around = wide * 2 * d + narrow * (5 * d + 3 * d + spec.mlp_width);
  const std::int64_t logits =
      std::min(rows * layout.vocab_rows() * narrow, (std::int64_t{512} << 20) / runs);
  return runs * (weights + rows * (layers + around) + logits);
}

}  // namespace ration::train::device
