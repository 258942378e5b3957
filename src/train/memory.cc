#include "train/memory.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string_view>

#include "run/count.h"
#include "run/experts.h"
#include "train/cpu/attention.h"
#include "train/cpu/lanes.h"
#include "train/experts/places.h"

namespace ration::train {
namespace {

constexpr std::int64_t kCacheBytes = 512 << 10;  // of activations a thread holds at once

std::int64_t item_bytes(const run::RunSpec& spec) { return spec.precision == "fp64" ? 8 : 4; }

std::int64_t logit_stride(const run::RunSpec& spec) {
  return spec.precision == "fp64" ? cpu::rounded_up<double>(spec.vocab)
                                  : cpu::rounded_up<float>(spec.vocab);
}

// Numbers of a token that the backward pass finds again.
std::int64_t kept_numbers(const run::RunSpec& spec) {
  const std::int64_t hidden = spec.mlp == "swiglu" ? 3 : 2;
  return spec.layers * (8 * spec.width + hidden * spec.mlp_width) + 3 * spec.width +
         logit_stride(spec);
}

// Experts that train/experts/merged_mlp.h merges and computes, of one layer.
bool merges(const run::RunSpec& spec) {
  return run::has_experts(spec) && spec.expert_kind == "ffn" && spec.router != "ensemble" &&
         spec.router != "dselect";
}

// So many that reading all experts, and walking the router's graph, is little beside what they
// compute.
std::int64_t merged_at_once(const run::RunSpec& spec, std::int64_t positions) {
  constexpr double kMergedBytes = 4 << 20;  // of a layer
  const double expert = run::count_experts(spec).expert * static_cast<double>(item_bytes(spec));
  const auto experts = std::clamp<std::int64_t>(std::llround(kMergedBytes / expert), 8, 64);
  const std::int64_t units = std::max<std::int64_t>(1, experts::routed_units(spec, positions));
  return (experts + units - 1) / units;
}

// What layers with experts hold beyond those of one expert.
struct OfExperts {
  double rearranged = 0;    // numbers
  double kept = 0;          // numbers of a token
  std::int64_t hidden = 0;  // widest
};

OfExperts of_experts(const run::RunSpec& spec) {
  OfExperts more{.hidden = spec.mlp_width};
  if (!run::has_experts(spec)) return more;
  double layers = 0;
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    layers += run::has_experts(spec, layer) ? 1 : 0;
  const run::ExpertCounts counts = run::count_experts(spec);
  more.kept = layers * static_cast<double>(spec.width);
  more.rearranged = -layers * (counts.router + counts.expert);  // LibTorch rearranges nothing
  if (!merges(spec)) return more;
  more.rearranged += layers * static_cast<double>(run::stored_experts(spec)) * counts.expert;
  const std::int64_t hidden = run::expert_width(spec);
  more.kept +=
      layers * (spec.mlp == "swiglu" ? 3 : 2) * static_cast<double>(hidden - spec.mlp_width);
  more.hidden = std::max(hidden, spec.mlp_width);
  return more;
}

template <class Real>
double attention_bytes(const run::RunSpec& spec) {
  const cpu::Attention<Real> shape{
      .positions = spec.context, .heads = spec.heads, .head_width = spec.width / spec.heads};
  return static_cast<double>(cpu::attention_scratch(shape)) * sizeof(Real);
}

}  // namespace

std::int64_t sequences_at_once(const run::RunSpec& spec,
                               std::int64_t sequences,
                               std::int64_t positions,
                               std::int64_t threads) {
  const std::int64_t row = item_bytes(spec) * kept_numbers(spec);
  const auto cached =
      std::clamp<std::int64_t>(threads * kCacheBytes / (row * positions), 1, sequences);
  if (!run::has_experts(spec)) return cached;
  if (spec.router_balance > 0) return sequences;  // a loss of all sequences together
  return std::max(cached, std::min(sequences, merged_at_once(spec, positions)));
}

bool is_out_of_memory(const std::exception& thrown) {
  const std::string_view text = thrown.what();
  return dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr ||
         text.find("allocate memory") != std::string_view::npos ||
         text.find("out of memory") != std::string_view::npos;
}

MemoryNeed memory_need(const run::RunSpec& spec, const run::Execution& execution) {
  const auto bytes = static_cast<double>(item_bytes(spec));
  const run::ParamCounts params = run::count_params(spec);
  const std::int64_t micro = execution.micro_batch_sequences > 0
                                 ? std::min(execution.micro_batch_sequences, spec.batch_sequences)
                                 : spec.batch_sequences;
  const std::int64_t at_once = sequences_at_once(spec, micro, spec.context, execution.threads);
  const std::int64_t rows = spec.context * at_once;
  const OfExperts experts = of_experts(spec);
  const std::int64_t gradients = 6 * spec.width + experts.hidden;  // of one layer, reused by all
  // Two numbers of each norm, one of each head, and the loss in double.
  const std::int64_t statistics = spec.layers * (4 + spec.heads) + 2;
  const double threads = static_cast<double>(execution.threads);
  const double token_ids = 16.0 * static_cast<double>(spec.batch_sequences * spec.context);
  return {
      .state_bytes = 4 * bytes * params.total,
      .rearranged_bytes = bytes * (params.block + params.head + experts.rearranged),
      .activation_bytes = bytes * static_cast<double>(rows) *
                          (static_cast<double>(kept_numbers(spec) + gradients) + experts.kept),
      .scratch_bytes = threads * (spec.precision == "fp64" ? attention_bytes<double>(spec)
                                                           : attention_bytes<float>(spec)) +
                       static_cast<double>(rows) * (bytes * static_cast<double>(statistics) + 8) +
                       token_ids};
}

}  // namespace ration::train
