#include "train/reward_gradients.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/random.h"

namespace ration::train {
namespace {

// Buckets of a projection: the error of a cosine is about 1/sqrt of it, 0.4 %.
constexpr std::int64_t kBuckets = 65536;

template <class Real>
std::span<const Real> numbers(const at::Tensor& flat) {
  return {flat.const_data_ptr<Real>(), static_cast<std::size_t>(flat.numel())};
}

// A signed count sketch: element i of a tensor goes to one bucket, with a sign.
template <class Real>
void project(const Region& region, const Real* from, double* buckets) {
  const std::uint64_t key = mix(region.tensor);
  for (std::int64_t i = 0; i < region.length; ++i) {
    const std::uint64_t bits = mix(key + static_cast<std::uint64_t>(i));
    const auto value = static_cast<double>(from[i]);
    buckets[bits % kBuckets] += bits >> 63 != 0 ? value : -value;
  }
}

}  // namespace

bool is_reward_parameter(const run::RunSpec& spec, std::string_view tensor) {
  if (spec.reward_params == "head") return tensor == (spec.tied ? "wte" : "head.w");
  if (spec.reward_params == "last_block")
    return tensor.starts_with(fmt::format("h{}.", spec.layers - 1));
  return true;
}

std::vector<Region> reward_regions(const run::RunSpec& spec, const Parameters& parameters) {
  std::vector<Region> regions;
  std::uint64_t number = 0;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (is_reward_parameter(spec, entry.shape.name))
      regions.push_back({.offset = entry.offset, .length = entry.value.numel(), .tensor = number});
    ++number;
  }
  return regions;
}

RewardGradients::RewardGradients(const run::RunSpec& spec, std::vector<Region> regions)
    : regions_(std::move(regions)), project_(spec.reward_params == "projected") {}

at::Tensor RewardGradients::regions_of(const at::Tensor& flat) const {
  std::vector<at::Tensor> parts;
  for (const Region& region : regions_)
    parts.push_back(flat.narrow(0, region.offset, region.length));
  return at::cat(parts);
}

at::Tensor RewardGradients::projected(const at::Tensor& flat) const {
  const at::Tensor here = flat.cpu();
  at::Tensor buckets = at::zeros({kBuckets}, at::kDouble);
  auto* to = buckets.data_ptr<double>();
  for (const Region& region : regions_) {
    if (here.scalar_type() == at::kDouble)
      project(region, here.const_data_ptr<double>() + region.offset, to);
    else
      project(region, here.const_data_ptr<float>() + region.offset, to);
  }
  return buckets;
}

at::Tensor RewardGradients::compared(const at::Tensor& flat) const {
  return project_ ? projected(flat) : regions_of(flat);
}

void RewardGradients::take_target(const at::Tensor& flat) {
  aside_.reset();  // of a step that ran out of memory half way
  target_ = compared(flat);
}

data::GradientSums RewardGradients::compare(const at::Tensor& flat) const {
  const at::Tensor source = compared(flat);
  if (!source.is_cpu()) {
    const at::Tensor t = target_.to(at::kDouble), s = source.to(at::kDouble);
    const at::Tensor sums = at::stack({(t * s).sum(), (t * t).sum(), (s * s).sum()}).cpu();
    const auto* values = sums.const_data_ptr<double>();
    return {.dot = values[0], .target_square = values[1], .source_square = values[2]};
  }
  return source.scalar_type() == at::kDouble
             ? data::compare(numbers<double>(target_), numbers<double>(source))
             : data::compare(numbers<float>(target_), numbers<float>(source));
}

void RewardGradients::set_aside(const at::Tensor& flat) {
  const at::Tensor values = regions_of(flat);
  aside_ = aside_.defined() ? aside_.add_(values) : values;
  for (const Region& region : regions_) flat.narrow(0, region.offset, region.length).zero_();
}

void RewardGradients::give_back(const at::Tensor& flat) {
  std::int64_t from = 0;
  for (const Region& region : regions_) {
    flat.narrow(0, region.offset, region.length).add_(aside_.narrow(0, from, region.length));
    from += region.length;
  }
  aside_.reset();
}

}  // namespace ration::train
