#include "train/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "run/experts.h"
#include "train/experts/layer.h"

namespace ration::train {
namespace {

// Angles theta(t, j) = t base^(-2j/D) for the halves of a head, repeated: [T, D]. Computed in
// double.
at::Tensor rotary_angles(const run::RunSpec& spec) {
  const std::int64_t head_width = spec.width / spec.heads;
  const at::Tensor exponent =
      at::arange(head_width / 2, at::kDouble) * (-2.0 / static_cast<double>(head_width));
  const at::Tensor frequency = at::exp(exponent * std::log(spec.rope_base));
  const at::Tensor half = at::outer(at::arange(spec.context, at::kDouble), frequency);
  return at::cat({half, half}, 1);
}

}  // namespace

Model::Model(const run::RunSpec& spec, at::ScalarType dtype)
    : spec_(spec),
      parameters_(spec, dtype),
      rule_(spec),
      passes_(make_passes(spec, parameters_)),
      dropout_(spec.dropout, static_cast<std::uint64_t>(spec.seed)) {
  const auto tensor = [&](const std::string& name) {
    return parameters_.has(name) ? parameters_.at(name).value : at::Tensor();
  };
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    const auto part = [&](std::string_view name) { return tensor(fmt::format("h{}.{}", i, name)); };
    layers_.push_back({part("ln1.g"),
                       part("ln1.b"),
                       part("attn.qkv.w"),
                       part("attn.qkv.b"),
                       part("attn.o.w"),
                       part("attn.o.b"),
                       part("ln2.g"),
                       part("ln2.b"),
                       part("mlp.gate.w"),
                       part("mlp.gate.b"),
                       part("mlp.up.w"),
                       part("mlp.up.b"),
                       part("mlp.down.w"),
                       part("mlp.down.b")});
    experts_.push_back(run::has_experts(spec, i)
                           ? std::make_unique<experts::Layer>(spec, parameters_, i)
                           : nullptr);
  }
  embedding_ = tensor("wte");
  positions_ = tensor("wpe");
  final_gain_ = tensor("lnf.g");
  final_bias_ = tensor("lnf.b");
  head_ = spec.tied ? embedding_ : tensor("head.w");
  if (spec.family == "llama") {
    const at::Tensor angles = rotary_angles(spec);
    rotary_cos_ = at::cos(angles).to(dtype);
    rotary_sin_ = at::sin(angles).to(dtype);
  }
}

Model::~Model() = default;

at::Tensor Model::norm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& bias) const {
  if (spec_.family == "llama") return at::rms_norm(x, {spec_.width}, gain, spec_.norm_eps);
  return at::layer_norm(x, {spec_.width}, gain, bias, spec_.norm_eps);
}

// x [..., T, D] turned by position: (a, b) -> (a cos - b sin, b cos + a sin) on the halves of D.
at::Tensor Model::rotated(const at::Tensor& x) const {
  const std::int64_t positions = x.size(-2);
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor turned = at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  return x * rotary_cos_.narrow(0, 0, positions) + turned * rotary_sin_.narrow(0, 0, positions);
}

at::Tensor Model::attention(const Layer& layer,
                            const at::Tensor& x,
                            std::int64_t index,
                            const BatchPlace* training) const {
  const std::int64_t batch = x.size(0), positions = x.size(1),
                     head_width = spec_.width / spec_.heads;
  const at::Tensor qkv =
      at::linear(x, layer.qkv, layer.qkv_bias).view({batch, positions, 3, spec_.heads, head_width});
  const at::Tensor heads = qkv.permute({2, 0, 3, 1, 4});  // [3, B, H, T, D]
  at::Tensor query_key = heads.narrow(0, 0, 2);
  if (spec_.qk_norm) query_key = at::rms_norm(query_key, {head_width}, {}, spec_.norm_eps);
  if (spec_.family == "llama") query_key = rotated(query_key);
  const at::Tensor query = query_key.select(0, 0), key = query_key.select(0, 1),
                   value = heads.select(0, 2);

  at::Tensor mixed;
  if (training != nullptr &&
      dropout_.active()) {  // the fused operator has no counter-based dropout
    const at::Tensor future = at::ones({positions, positions}, at::kBool).triu(1);
    const at::Tensor scores = at::matmul(query, key.transpose(-1, -2)) * rule_.attention_scale;
    const at::Tensor weights = at::softmax(scores.masked_fill(future, -INFINITY), -1);
    mixed = at::matmul(dropout_.apply(weights, *training, index, DropoutSite::attention_weights),
                       value);
  } else {
    mixed = at::scaled_dot_product_attention(
        query, key, value, {}, 0, /*is_causal=*/true, rule_.attention_scale);
  }
  return at::linear(
      mixed.transpose(1, 2).reshape({batch, positions, spec_.width}), layer.out, layer.out_bias);
}

at::Tensor Model::mlp(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor up = at::linear(x, layer.up, layer.up_bias);
  if (spec_.mlp == "swiglu")
    return at::linear(
        at::silu(at::linear(x, layer.gate, layer.gate_bias)) * up, layer.down, layer.down_bias);
  if (spec_.mlp == "relu2")
    return at::linear(at::square(at::relu(up)), layer.down, layer.down_bias);
  return at::linear(
      at::gelu(up, spec_.mlp == "gelu_tanh" ? "tanh" : "none"), layer.down, layer.down_bias);
}

at::Tensor Model::logits(const at::Tensor& tokens,
                         const BatchPlace* training,
                         const experts::About& about) const {
  return computed(tokens, training, about).states.back();
}

std::vector<at::Tensor> Model::activations(const at::Tensor& tokens) const {
  return computed(tokens, nullptr, {}).states;
}

Model::Routings Model::routings(const at::Tensor& tokens,
                                const experts::About& about,
                                const experts::Intervention* intervention) const {
  Computed all = computed(tokens, nullptr, about, intervention);
  return {std::move(all.routings), std::move(all.places), all.states.back()};
}

Model::Computed Model::computed(const at::Tensor& tokens,
                                const BatchPlace* training,
                                const experts::About& about,
                                const experts::Intervention* intervention) const {
  const auto dropped = [&](const at::Tensor& x, std::int64_t layer, DropoutSite site) {
    return training == nullptr ? x : dropout_.apply(x, *training, layer, site);
  };
  Computed all;
  if (run::has_experts(spec_))
    all.places = experts::places_of(spec_, tokens, about, parameters_.values().scalar_type());
  at::Tensor h = at::embedding(embedding_, tokens);
  if (positions_.defined()) h = h + positions_.narrow(0, 0, tokens.size(1));
  h = dropped(h, 0, DropoutSite::embedding);
  all.states = {h};
  const auto branch = [&](std::size_t i, const at::Tensor& x) {
    const bool replaced = experts_[i] && spec_.expert_kind != "adapter";
    const at::Tensor y = replaced ? x : mlp(layers_[i], x);
    if (!experts_[i]) return y;
    experts::Routed routed = experts_[i]->forward(h, y, all.places, training, intervention);
    all.routings.push_back(std::move(routed.routing));
    return routed.y;
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const Layer& layer = layers_[i];
    h = h + dropped(attention(layer, norm(h, layer.norm1_gain, layer.norm1_bias), index, training),
                    index,
                    DropoutSite::attention_branch);
    h = h + dropped(branch(i, norm(h, layer.norm2_gain, layer.norm2_bias)),
                    index,
                    DropoutSite::mlp_branch);
    all.states.push_back(h);
  }
  const at::Tensor normed = norm(h, final_gain_, final_bias_);
  all.states.push_back(
      at::linear(rule_.logit_scale == 1 ? normed : normed * rule_.logit_scale, head_));
  return all;
}

at::Tensor Model::objective(const at::Tensor& tokens,
                            const at::Tensor& targets,
                            const BatchPlace* training,
                            const experts::About& about) const {
  const Computed all = computed(tokens, training, about);
  const at::Tensor& logits = all.states.back();
  at::Tensor sum = objective_sum(logits, loss_sum(logits, targets));
  const at::Tensor token_losses =
      at::cross_entropy_loss(
          logits.detach().flatten(0, 1), targets.reshape(-1), {}, at::Reduction::None)
          .view(tokens.sizes());
  std::size_t routing = 0;
  for (const auto& layer : experts_) {
    if (!layer) continue;
    const at::Tensor more =
        layer->router().penalty(all.routings[routing++], all.places, token_losses);
    if (more.defined()) sum = sum + more;
  }
  return sum;
}

at::Tensor Model::loss_sum(const at::Tensor& logits, const at::Tensor& targets) const {
  return at::cross_entropy_loss(
      logits.view({-1, logits.size(-1)}), targets.reshape(-1), {}, at::Reduction::Sum);
}

at::Tensor Model::objective_sum(const at::Tensor& logits, const at::Tensor& loss_sum) const {
  if (spec_.z_loss == 0) return loss_sum;
  return loss_sum + spec_.z_loss * at::square(at::logsumexp(logits, {-1})).sum();
}

}  // namespace ration::train
