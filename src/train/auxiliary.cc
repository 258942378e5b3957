#include "train/auxiliary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ration::train {
namespace {

data::PolicyKind policy_kind(const run::RunSpec& spec) {
  if (spec.policy == "proportional") return data::PolicyKind::proportional;
  if (spec.policy == "exp3") return data::PolicyKind::exp3;
  if (spec.policy == "ucb1") return data::PolicyKind::ucb1;
  return spec.policy == "odm" ? data::PolicyKind::odm : data::PolicyKind::fixed;
}

data::RewardKind reward_kind(const run::RunSpec& spec) {
  if (spec.policy_reward == "magnitude") return data::RewardKind::magnitude;
  return spec.policy_reward == "combined" ? data::RewardKind::combined
                                          : data::RewardKind::alignment;
}

data::MixtureOptions options_of(const run::RunSpec& spec,
                                const std::vector<run::AuxSource>& about,
                                const std::vector<Windows>& windows) {
  data::MixtureOptions options;
  const auto seed = static_cast<std::uint64_t>(spec.seed);
  options.policy.kind = policy_kind(spec);
  options.policy.quota = spec.mix_order == "quota";
  options.policy.kappa = spec.policy_kappa;
  options.policy.second_softmax = spec.policy_compat == "public";
  options.policy.credit_counts = spec.policy_credit == "counts" && spec.policy_compat != "public";
  options.policy.forgetting = spec.policy_forget;
  const double rule = spec.policy == "exp3" ? 1 : 0.1;
  options.policy.smoothing = spec.policy_smoothing > 0 ? spec.policy_smoothing : rule;
  options.policy.plain_mean = spec.policy_mean;
  options.pulls = run::is_online(spec) ? spec.policy_pulls : 0;
  options.r_star = run::is_online(spec) ? spec.policy_rstar : 0;
  options.rescale = spec.policy_rescale;
  options.warmup = spec.policy == "odm" ? spec.policy_warmup : 0;
  options.seed = seed;
  const bool by_tokens = spec.policy == "proportional" || spec.policy == "odm";
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const std::int64_t count = windows[i].count();
    options.sources.push_back({.windows = static_cast<std::uint32_t>(count),
                               .max_epochs = about[i].max_epochs,
                               .seed = data::source_seed(seed, about[i].data_digest)});
    options.policy.weights.push_back(by_tokens ? static_cast<double>(count) : about[i].weight);
  }
  return options;
}

Batch joined(const std::vector<Batch>& batches) {
  std::vector<at::Tensor> inputs, targets, sources;
  for (const Batch& batch : batches) {
    inputs.push_back(batch.inputs);
    targets.push_back(batch.targets);
    if (batch.sources.defined()) sources.push_back(batch.sources);
  }
  Batch all{at::cat(inputs), at::cat(targets)};
  if (sources.size() == batches.size()) all.sources = at::cat(sources);
  all.end_token = batches[0].end_token;
  return all;
}

}  // namespace

Auxiliary::Auxiliary(const run::RunSpec& spec, std::vector<Windows> sources)
    : spec_(spec), share_(spec), windows_(std::move(sources)), kind_(reward_kind(spec)) {
  if (windows_.empty()) return;
  about_ = run::parse_aux(spec.aux).value();  // checked with the spec
  mixture_.emplace(options_of(spec, about_, windows_));
}

std::optional<Batch> Auxiliary::with(Batch target, std::int64_t count) {
  if (count == 0) return target;
  const auto drawn = mixture_->step(count);
  if (!drawn) return std::nullopt;
  std::vector<Batch> batches = {target};
  std::vector<BatchPart> parts = {{.count = target.sequences()}};
  for (const data::Part& part : *drawn) {
    batches.push_back(windows_[part.arm].batch(part.windows));
    const BatchPart& last = parts.back();
    parts.push_back({.first = last.first + last.count,
                     .count = batches.back().sequences(),
                     .source = part.arm});
  }
  Batch batch = joined(batches);
  if (learns()) batch.parts = std::move(parts);
  return batch;
}

std::optional<Batch> Auxiliary::before_first_step(const Windows& target) const {
  if (none() || spec_.policy != "ucb1") return std::nullopt;
  std::vector<Batch> batches;
  std::vector<BatchPart> parts;
  std::int64_t first = 0;
  const auto add = [&](const Windows& windows, std::size_t source) {
    std::vector<std::uint32_t> some(
        static_cast<std::size_t>(std::min(spec_.policy_warmup, windows.count())));
    std::iota(some.begin(), some.end(), 0U);
    batches.push_back(windows.batch(some));
    parts.push_back({.first = first, .count = std::ssize(some), .source = source});
    first += std::ssize(some);
  };
  add(target, 0);
  for (std::size_t source = 0; source < windows_.size(); ++source) add(windows_[source], source);
  Batch batch = joined(batches);
  batch.parts = std::move(parts);
  return batch;
}

// Of part i of the batch, i > 0; nothing where there is none to be had. odm's is the loss as a
// share of that of guessing.
std::optional<double> Auxiliary::reward_of(const Batch& batch,
                                           const StepResult& result,
                                           std::size_t i) const {
  const PartResult& part = result.parts[i];
  if (spec_.policy == "odm") {
    const double guessing = std::log(static_cast<double>(spec_.vocab));
    return spec_.policy_rescale ? std::min(1.0, part.loss / guessing) : part.loss;
  }
  if (batch.parts[0].count == 0) return std::nullopt;
  const double found = data::reward(kind_, part.sums);
  return std::isfinite(found) ? std::optional(found) : std::nullopt;
}

void Auxiliary::begin_with(const StepResult& result) {
  for (std::size_t source = 0; source < windows_.size(); ++source)
    mixture_->begin_with(source, kind_, data::reward(kind_, result.parts.at(source + 1).sums));
}

void Auxiliary::end_step(const Batch& batch, const StepResult& result) {
  if (none()) return;
  for (std::size_t i = 1; result.updated && i < std::min(batch.parts.size(), result.parts.size());
       ++i) {
    const std::optional<double> found = reward_of(batch, result, i);
    if (!found) continue;
    if (spec_.policy == "odm")
      mixture_->observe(batch.parts[i].source, *found);
    else
      mixture_->observe(batch.parts[i].source, kind_, *found);
  }
  mixture_->end_step();
}

Json Auxiliary::summary() const {
  Json sources = Json::array();
  for (std::size_t i = 0; i < windows_.size(); ++i) {
    const data::Source& source = mixture_->sources()[i];
    sources.push_back({{"data", about_[i].data_digest},
                       {"tokens", source.used() * spec_.context},
                       {"unique_tokens", source.windows() * spec_.context},
                       {"epochs", source.epochs()}});
  }
  return sources;
}

}  // namespace ration::train
