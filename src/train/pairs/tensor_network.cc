// The network on LibTorch's operators. Letters: N rows of a pass, C width, H heads of width D, P
// positions of a prompt, R choices of it, padded on their right to M tokens.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "train/pairs/network.h"
#include "train/width_rule.h"

namespace ration::train {
namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 25;  // numbers

at::Tensor on(const std::vector<std::int64_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions(at::kLong)).to(device);
}

class TensorNetwork final : public Network {
 public:
  TensorNetwork(const run::RunSpec& spec,
                const Parameters& parameters,
                at::Device device,
                at::ScalarType type);

  void read_prompts(const Pass& pass, std::span<double> logp) override;
  void read_choices(const Pass& pass, std::span<double> logp) override;

 private:
  // Choices of one prompt, of similar length, within a pass: rows [first, first + length).
  struct Group {
    std::int64_t prompt = 0, first = 0, length = 0;
    at::Tensor places;  // [length]: of its rows among R M padded ones
    std::int64_t choices = 0, shortest = 0, longest = 0;

    // Filling up to the longest costs at most twice what is read, beyond a few tokens each.
    bool takes(const Segment& segment) const {
      constexpr std::int64_t kFew = 8;
      return prompt == segment.prompt && std::max(longest, segment.length) <=
                                             2 * std::max(kFew, std::min(shortest, segment.length));
    }
  };
  struct Kept {
    at::Tensor key, value;  // [H,P,D]
  };

  at::Tensor weight(const std::string& name) const {
    const auto found = weights_.find(name);
    return found == weights_.end() ? at::Tensor() : found->second;
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x.to(type_), weight(name + ".w"), weight(name + ".b")).to(between_);
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const;
  at::Tensor mlp(const at::Tensor& x, const std::string& h) const;
  at::Tensor rotated(const at::Tensor& x, const at::Tensor& positions) const;
  std::vector<at::Tensor> projected(const at::Tensor& x,
                                    const at::Tensor& positions,
                                    const std::string& h) const;
  at::Tensor behind_prompt(const Group& group,
                           const Kept& kept,
                           const std::vector<at::Tensor>& qkv) const;
  template <class Mix>
  void read(const Pass& pass, bool behind, std::span<double> logp, const Mix& mix);
  void predict(const at::Tensor& h,
               std::span<const Prediction> predictions,
               std::span<double> logp) const;

  run::RunSpec spec_;
  WidthRule rule_;
  at::Device device_;
  at::ScalarType type_, between_;
  std::map<std::string, at::Tensor> weights_;
  at::Tensor cosines_, sines_;           // [T,D]
  std::vector<std::int64_t> lengths_;    // of the prompts
  std::vector<std::vector<Kept>> kept_;  // of each layer, of each prompt
};

TensorNetwork::TensorNetwork(const run::RunSpec& spec,
                             const Parameters& parameters,
                             at::Device device,
                             at::ScalarType type)
    : spec_(spec),
      rule_(spec),
      device_(device),
      type_(type),
      between_(type == at::kDouble ? at::kDouble : at::kFloat),
      kept_(static_cast<std::size_t>(spec.layers)) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    const std::string& name = entry.shape.name;
    const bool normed = name.find("ln") != std::string::npos || name == "wpe";
    weights_[name] = entry.value.detach().to(device, normed ? between_ : type);
  }
  if (spec.family != "llama") return;
  const std::int64_t width = spec.width / spec.heads;
  const at::Tensor exponent =
      at::arange(width / 2, at::kDouble) * (-2.0 / static_cast<double>(width));
  const at::Tensor half = at::outer(at::arange(spec.context, at::kDouble),
                                    at::exp(exponent * std::log(spec.rope_base)));
  const at::Tensor angles = at::cat({half, half}, 1);
  cosines_ = at::cos(angles).to(device, between_);
  sines_ = at::sin(angles).to(device, between_);
}

at::Tensor TensorNetwork::norm(const at::Tensor& x, const std::string& name) const {
  if (spec_.family == "llama")
    return at::rms_norm(x, {spec_.width}, weight(name + ".g"), spec_.norm_eps);
  return at::layer_norm(x, {spec_.width}, weight(name + ".g"), weight(name + ".b"), spec_.norm_eps);
}

at::Tensor TensorNetwork::mlp(const at::Tensor& x, const std::string& h) const {
  const at::Tensor up = linear(x, h + "mlp.up");
  if (spec_.mlp == "swiglu")
    return linear(at::silu(linear(x, h + "mlp.gate")) * up, h + "mlp.down");
  if (spec_.mlp == "relu2") return linear(at::square(at::relu(up)), h + "mlp.down");
  return linear(at::gelu(up, spec_.mlp == "gelu_tanh" ? "tanh" : "none"), h + "mlp.down");
}

// x [2,H,N,D] turned by the positions [N] of its rows.
at::Tensor TensorNetwork::rotated(const at::Tensor& x, const at::Tensor& positions) const {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor turned = at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  return x * cosines_.index_select(0, positions) + turned * sines_.index_select(0, positions);
}

// Queries, keys and values as attention sees them, each [H,N,D].
std::vector<at::Tensor> TensorNetwork::projected(const at::Tensor& x,
                                                 const at::Tensor& positions,
                                                 const std::string& h) const {
  const std::int64_t head_width = spec_.width / spec_.heads;
  const at::Tensor heads = linear(x, h + "attn.qkv")
                               .view({x.size(0), 3, spec_.heads, head_width})
                               .permute({1, 2, 0, 3});  // [3,H,N,D]
  at::Tensor query_key = heads.narrow(0, 0, 2);
  if (spec_.qk_norm) query_key = at::rms_norm(query_key, {head_width}, {}, spec_.norm_eps);
  if (spec_.family == "llama") query_key = rotated(query_key, positions);
  query_key = query_key.to(type_);
  return {query_key.select(0, 0), query_key.select(0, 1), heads.select(0, 2).to(type_)};
}

// Attention of a group's rows to its prompt and, each within its choice, to what is not behind it:
// [H,length,D]. The prompt's keys serve all choices without a copy.
at::Tensor TensorNetwork::behind_prompt(const Group& group,
                                        const Kept& kept,
                                        const std::vector<at::Tensor>& qkv) const {
  const std::int64_t heads = spec_.heads, choices = group.choices, longest = group.longest;
  const std::int64_t head_width = spec_.width / heads, positions = kept.key.size(1);
  const auto padded = [&](const at::Tensor& rows) {
    at::Tensor result = at::zeros({heads, choices * longest, head_width}, rows.options());
    return result.index_copy_(1, group.places, rows.narrow(1, group.first, group.length));
  };
  const auto by_choice = [&](const at::Tensor& rows) {
    return rows.view({heads, choices, longest, -1});
  };
  const at::Tensor query = padded(qkv[0]), value = padded(qkv[2]);
  const at::Tensor own_key = by_choice(padded(qkv[1])).transpose(-1, -2);
  const at::Tensor future =
      at::ones({longest, longest}, at::TensorOptions(at::kBool).device(device_));
  const at::Tensor to_prompt =
      by_choice(at::matmul(query, kept.key.transpose(-1, -2)).to(between_));  // [H,R,M,P]
  const at::Tensor to_own = at::matmul(by_choice(query), own_key)
                                .to(between_)
                                .masked_fill(future.triu(1), -INFINITY);  // [H,R,M,M]
  const at::Tensor weights =
      at::softmax(at::cat({to_prompt, to_own}, -1) * rule_.attention_scale, -1).to(type_);
  const at::Tensor of_prompt = at::matmul(
      weights.narrow(-1, 0, positions).reshape({heads, choices * longest, positions}), kept.value);
  const at::Tensor of_own = at::matmul(weights.narrow(-1, positions, longest), by_choice(value));
  return (of_prompt + of_own.view({heads, choices * longest, head_width}))
      .index_select(1, group.places);
}

// `mix` is given a layer and its queries, keys and values, and returns the heads' output [H,N,D].
template <class Mix>
void TensorNetwork::read(const Pass& pass, bool behind, std::span<double> logp, const Mix& mix) {
  std::vector<std::int64_t> at;
  for (const Segment& segment : pass.segments)
    for (std::int64_t i = 0; i < segment.length; ++i)
      at.push_back(i + (behind ? lengths_[static_cast<std::size_t>(segment.prompt)] : 0));
  const at::Tensor positions = on(at, device_);
  at::Tensor x = at::embedding(weight("wte"), on(pass.tokens, device_)).to(between_);
  if (const at::Tensor learned = weight("wpe"); learned.defined())
    x = x + learned.index_select(0, positions);
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const std::string h = fmt::format("h{}.", i);
    const at::Tensor mixed = mix(i, projected(norm(x, h + "ln1"), positions, h));
    x = x + linear(mixed.transpose(0, 1).reshape({-1, spec_.width}), h + "attn.o");
    x = x + mlp(norm(x, h + "ln2"), h);
  }
  predict(x, pass.predictions, logp);
}

void TensorNetwork::read_prompts(const Pass& pass, std::span<double> logp) {
  lengths_.clear();
  for (const Segment& segment : pass.segments) lengths_.push_back(segment.length);
  read(pass, /*behind=*/false, logp, [&](std::size_t layer, const std::vector<at::Tensor>& qkv) {
    std::vector<at::Tensor> mixed;
    kept_[layer].clear();
    for (const Segment& segment : pass.segments) {
      const auto rows = [&](const at::Tensor& x) {
        return x.narrow(1, segment.first, segment.length).contiguous();
      };
      const at::Tensor query = rows(qkv[0]), key = rows(qkv[1]), value = rows(qkv[2]);
      mixed.push_back(at::scaled_dot_product_attention(query.unsqueeze(0),
                                                       key.unsqueeze(0),
                                                       value.unsqueeze(0),
                                                       {},
                                                       0,
                                                       /*is_causal=*/true,
                                                       rule_.attention_scale)
                          .squeeze(0));
      kept_[layer].push_back({key, value});
    }
    return at::cat(mixed, 1);
  });
}

void TensorNetwork::read_choices(const Pass& pass, std::span<double> logp) {
  std::vector<Group> groups;
  for (const Segment& segment : pass.segments) {
    if (groups.empty() || !groups.back().takes(segment))
      groups.push_back({.prompt = segment.prompt,
                        .first = segment.first,
                        .places = {},
                        .shortest = segment.length});
    Group& group = groups.back();
    group.length += segment.length;
    group.choices += 1;
    group.shortest = std::min(group.shortest, segment.length);
    group.longest = std::max(group.longest, segment.length);
  }
  auto segment = pass.segments.begin();
  for (Group& group : groups) {
    std::vector<std::int64_t> places;
    for (std::int64_t choice = 0; choice < group.choices; ++choice, ++segment)
      for (std::int64_t i = 0; i < segment->length; ++i)
        places.push_back(choice * group.longest + i);
    group.places = on(places, device_);
  }
  read(pass, /*behind=*/true, logp, [&](std::size_t layer, const std::vector<at::Tensor>& qkv) {
    std::vector<at::Tensor> mixed;
    for (const Group& group : groups)
      mixed.push_back(
          behind_prompt(group, kept_[layer][static_cast<std::size_t>(group.prompt)], qkv));
    return at::cat(mixed, 1);
  });
}

void TensorNetwork::predict(const at::Tensor& h,
                            std::span<const Prediction> predictions,
                            std::span<double> logp) const {
  const at::Tensor head = weight(spec_.tied ? "wte" : "head.w");
  const auto at_once =
      static_cast<std::size_t>(std::max<std::int64_t>(1, kLogitsAtOnce / spec_.vocab));
  while (!predictions.empty()) {
    std::vector<std::int64_t> rows, of_row, tokens;
    std::size_t count = 0;
    for (; count < predictions.size(); ++count) {
      const Prediction& prediction = predictions[count];
      if (rows.empty() || rows.back() != prediction.row) {
        if (rows.size() == at_once) break;
        rows.push_back(prediction.row);
      }
      of_row.push_back(std::ssize(rows) - 1);
      tokens.push_back(prediction.token);
    }
    const at::Tensor normed = norm(h.index_select(0, on(rows, device_)), "lnf");
    const at::Tensor logits = at::linear((normed * rule_.logit_scale).to(type_), head).to(between_);
    const at::Tensor index = on(of_row, device_) * spec_.vocab + on(tokens, device_);
    const at::Tensor found = at::log_softmax(logits, -1)
                                 .view(-1)
                                 .index_select(0, index)
                                 .to(at::kCPU, at::kDouble)
                                 .contiguous();
    for (std::size_t i = 0; i < count; ++i)
      logp[predictions[i].to] = found.const_data_ptr<double>()[i];
    predictions = predictions.subspan(count);
  }
}

}  // namespace

std::unique_ptr<Network> tensor_network(const run::RunSpec& spec,
                                        const Parameters& parameters,
                                        at::Device device,
                                        at::ScalarType type) {
  return std::make_unique<TensorNetwork>(spec, parameters, device, type);
}

}  // namespace ration::train
