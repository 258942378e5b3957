// The network on the kernels of train/cpu.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/cpu/buffer.h"
#include "train/cpu/cached_attention.h"
#include "train/cpu/rows.h"
#include "train/pairs/network.h"
#include "train/parallel.h"
#include "train/width_rule.h"

namespace ration::train {
namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 22;  // numbers

template <class Real>
class CpuNetwork final : public Network {
 public:
  CpuNetwork(const run::RunSpec& spec, const Parameters& parameters, Products products);

  void read_prompts(const Pass& pass, std::span<double> logp) override {
    lengths_.clear();
    for (const Segment& segment : pass.segments) lengths_.push_back(segment.length);
    read(pass, /*behind=*/false, logp);
  }
  void read_choices(const Pass& pass, std::span<double> logp) override {
    read(pass, /*behind=*/true, logp);
  }

 private:
  using Buffer = cpu::Buffer<Real>;
  using Kept = cpu::KeptHead<Real>;

  struct Layer {
    cpu::Norm<Real> norm1, norm2;
    Linear<Real> qkv, out, up, gate, down;
    Buffer kept;  // of the prompts: one behind the other, head after head
  };

  cpu::Norm<Real> norm_named(const Parameters& parameters, const std::string& name) const;
  static Linear<Real> linear_named(const Parameters& parameters,
                                   const std::string& name,
                                   Products products);
  void fill_rotation(const run::RunSpec& spec);

  void read(const Pass& pass, bool behind, std::span<double> logp);
  void embed(const Pass& pass, bool behind);
  void layer(Layer& layer, const Pass& pass, bool behind);
  void attention(Layer& layer, const Pass& pass, bool behind);
  void predict(std::span<const Prediction> predictions, std::span<double> logp);
  void predict_rows(std::span<const Prediction> predictions, std::span<double> logp);

  std::int64_t position_of(const Segment& segment, bool behind) const {
    return behind ? lengths_[static_cast<std::size_t>(segment.prompt)] : 0;
  }
  Kept kept_of(Layer& layer, std::int64_t prompt, std::int64_t head) const {
    const auto slot = static_cast<std::size_t>(prompt);
    const std::int64_t numbers = cpu::kept_numbers<Real>(shape_.head_width, lengths_[slot]);
    return cpu::kept_within<Real>(
        shape_.head_width, lengths_[slot], layer.kept.data() + kept_from_[slot] + head * numbers);
  }
  void norm(const cpu::Norm<Real>& norm, std::int64_t rows, const Buffer& x, Buffer& out) {
    in_parts(rows, [&](cpu::Range range, std::int64_t) {
      cpu::norm_forward(range, norm, x.data(), out.data(), stats_.data());
    });
  }
  static void grow(Buffer& buffer, std::int64_t numbers) {
    if (std::ssize(buffer) < numbers) buffer.resize(static_cast<std::size_t>(numbers));
  }

  std::int64_t width_, hidden_width_, vocab_, logit_stride_;
  bool centred_;
  double norm_eps_;
  cpu::Activation activation_;
  Real logit_scale_;
  const Real* embedding_;
  const Real* positions_ = nullptr;
  Buffer cosines_, sines_;
  cpu::Attention<Real> shape_;
  std::vector<Layer> layers_;
  cpu::Norm<Real> final_norm_;
  Linear<Real> head_;

  std::vector<std::int64_t> lengths_, kept_from_;  // of the prompts last read
  Buffer x_, normed_, projected_, mixed_, branch_, up_, gate_, hidden_, stats_, logits_, scratch_;
  std::vector<std::int64_t> targets_;
  std::vector<double> losses_;
};

template <class Real>
cpu::Norm<Real> CpuNetwork<Real>::norm_named(const Parameters& parameters,
                                             const std::string& name) const {
  const auto data = [&](const std::string& tensor) {
    return parameters.has(tensor) ? parameters.at(tensor).value.template const_data_ptr<Real>()
                                  : nullptr;
  };
  return {.width = width_,
          .centred = centred_,
          .eps = norm_eps_,
          .gain = data(name + ".g"),
          .bias = data(name + ".b")};
}

template <class Real>
Linear<Real> CpuNetwork<Real>::linear_named(const Parameters& parameters,
                                            const std::string& name,
                                            Products products) {
  if (!parameters.has(name + ".w")) return {};
  Linear<Real> linear(parameters.at(name + ".w"),
                      parameters.has(name + ".b") ? &parameters.at(name + ".b") : nullptr);
  linear.use(products);
  linear.refresh();
  return linear;
}

template <class Real>
void CpuNetwork<Real>::fill_rotation(const run::RunSpec& spec) {
  const std::int64_t half = shape_.head_width / 2;
  for (std::int64_t t = 0; t < spec.context; ++t)
    for (std::int64_t j = 0; j < half; ++j) {
      const double angle =
          static_cast<double>(t) *
          std::pow(spec.rope_base, -static_cast<double>(j) / static_cast<double>(half));
      cosines_.push_back(static_cast<Real>(std::cos(angle)));
      sines_.push_back(static_cast<Real>(std::sin(angle)));
    }
  shape_.cosines = cosines_.data();
  shape_.sines = sines_.data();
}

template <class Real>
CpuNetwork<Real>::CpuNetwork(const run::RunSpec& spec,
                             const Parameters& parameters,
                             Products products)
    : width_(spec.width),
      hidden_width_(spec.mlp_width),
      vocab_(spec.vocab),
      logit_stride_(cpu::rounded_up<Real>(spec.vocab)),
      centred_(spec.family == "gpt2"),
      norm_eps_(spec.norm_eps),
      activation_(cpu::activation_of(spec.mlp)),
      logit_scale_(static_cast<Real>(WidthRule(spec).logit_scale)),
      embedding_(parameters.at("wte").value.template const_data_ptr<Real>()) {
  shape_ = {.heads = spec.heads,
            .head_width = spec.width / spec.heads,
            .scale = static_cast<Real>(WidthRule(spec).attention_scale),
            .unit_query_key = spec.qk_norm,
            .eps = static_cast<Real>(spec.norm_eps),
            .mask = {}};
  if (parameters.has("wpe"))
    positions_ = parameters.at("wpe").value.template const_data_ptr<Real>();
  if (spec.family == "llama") fill_rotation(spec);
  const auto linear = [&](const std::string& name) {
    return linear_named(parameters, name, products);
  };
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    const std::string h = fmt::format("h{}.", i);
    layers_.push_back({.norm1 = norm_named(parameters, h + "ln1"),
                       .norm2 = norm_named(parameters, h + "ln2"),
                       .qkv = linear(h + "attn.qkv"),
                       .out = linear(h + "attn.o"),
                       .up = linear(h + "mlp.up"),
                       .gate = linear(h + "mlp.gate"),
                       .down = linear(h + "mlp.down"),
                       .kept = {}});
  }
  final_norm_ = norm_named(parameters, "lnf");
  head_ = Linear<Real>(parameters.at(spec.tied ? "wte" : "head.w"), nullptr);
  head_.use(products);
  head_.refresh();
}

template <class Real>
void CpuNetwork<Real>::read(const Pass& pass, bool behind, std::span<double> logp) {
  const auto rows = std::ssize(pass.tokens);
  for (Buffer* buffer : {&x_, &normed_, &mixed_, &branch_}) grow(*buffer, rows * width_);
  for (Buffer* buffer : {&up_, &gate_, &hidden_}) grow(*buffer, rows * hidden_width_);
  grow(projected_, 3 * rows * width_);
  grow(stats_, 2 * rows);
  if (!behind) {
    kept_from_ = {0};
    for (const std::int64_t length : lengths_)
      kept_from_.push_back(kept_from_.back() +
                           shape_.heads * cpu::kept_numbers<Real>(shape_.head_width, length));
    for (Layer& each : layers_) grow(each.kept, kept_from_.back());
  }
  embed(pass, behind);
  for (Layer& each : layers_) layer(each, pass, behind);
  predict(pass.predictions, logp);
}

template <class Real>
void CpuNetwork<Real>::embed(const Pass& pass, bool behind) {
  for (const Segment& segment : pass.segments) {
    const std::int64_t position = position_of(segment, behind);
    for (std::int64_t i = 0; i < segment.length; ++i) {
      const std::int64_t row = segment.first + i;
      Real* to = x_.data() + row * width_;
      std::copy_n(embedding_ + pass.tokens[static_cast<std::size_t>(row)] * width_, width_, to);
      if (positions_ != nullptr)
        cpu::add({0, width_}, to, positions_ + (position + i) * width_, to);
    }
  }
}

template <class Real>
void CpuNetwork<Real>::layer(Layer& layer, const Pass& pass, bool behind) {
  const auto rows = std::ssize(pass.tokens);
  norm(layer.norm1, rows, x_, normed_);
  layer.qkv.forward(rows, normed_.data(), projected_.data(), 3 * width_);
  attention(layer, pass, behind);
  layer.out.forward(rows, mixed_.data(), branch_.data(), width_);
  cpu::add({0, rows * width_}, x_.data(), branch_.data(), x_.data());
  norm(layer.norm2, rows, x_, normed_);
  layer.up.forward(rows, normed_.data(), up_.data(), hidden_width_);
  if (layer.gate.exists()) layer.gate.forward(rows, normed_.data(), gate_.data(), hidden_width_);
  in_parts(rows * hidden_width_, [&](cpu::Range elements, std::int64_t) {
    cpu::activate(elements, activation_, up_.data(), gate_.data(), hidden_.data());
  });
  layer.down.forward(rows, hidden_.data(), branch_.data(), width_);
  cpu::add({0, rows * width_}, x_.data(), branch_.data(), x_.data());
}

// A thread takes heads of segments; what a choice adds to its prompt's keys is forgotten at once.
template <class Real>
void CpuNetwork<Real>::attention(Layer& layer, const Pass& pass, bool behind) {
  const std::int64_t depth = shape_.head_width;
  std::int64_t own_numbers = 0, scratch = 0;
  for (const Segment& segment : pass.segments) {
    const std::int64_t before = position_of(segment, behind);
    if (behind) own_numbers = std::max(own_numbers, cpu::kept_numbers<Real>(depth, segment.length));
    scratch = std::max(scratch, cpu::attend_scratch<Real>(depth, before, segment.length));
  }
  const std::int64_t of_thread = own_numbers + scratch;
  grow(scratch_, parts() * of_thread);
  in_parts(std::ssize(pass.segments) * shape_.heads, [&](cpu::Range items, std::int64_t part) {
    Real* numbers = scratch_.data() + part * of_thread;
    for (std::int64_t item = items.begin; item < items.end; ++item) {
      const Segment& segment = pass.segments[static_cast<std::size_t>(item / shape_.heads)];
      const cpu::HeadTokens<Real> tokens{.head = item % shape_.heads,
                                         .position = position_of(segment, behind),
                                         .qkv = projected_.data() + segment.first * 3 * width_};
      const Kept kept = kept_of(layer, segment.prompt, tokens.head);
      const Kept own = behind ? cpu::kept_within<Real>(depth, segment.length, numbers) : kept;
      cpu::keep(shape_, tokens, own);
      cpu::attend(shape_,
                  tokens,
                  behind ? kept : Kept{},
                  own,
                  mixed_.data() + segment.first * width_,
                  numbers + own_numbers);
    }
  });
}

// Some rows at a time, so that the logits stay small.
template <class Real>
void CpuNetwork<Real>::predict(std::span<const Prediction> predictions, std::span<double> logp) {
  const std::int64_t at_once = std::max<std::int64_t>(1, kLogitsAtOnce / logit_stride_);
  while (!predictions.empty()) {
    std::size_t count = 0;
    std::int64_t rows = 0;
    for (std::int64_t row = -1; count < predictions.size(); ++count) {
      if (predictions[count].row == row) continue;
      if (rows == at_once) break;
      row = predictions[count].row;
      ++rows;
    }
    predict_rows(predictions.first(count), logp);
    predictions = predictions.subspan(count);
  }
}

template <class Real>
void CpuNetwork<Real>::predict_rows(std::span<const Prediction> predictions,
                                    std::span<double> logp) {
  std::vector<std::size_t> starts;  // of the predictions of each row
  for (std::size_t i = 0; i < predictions.size(); ++i)
    if (i == 0 || predictions[i].row != predictions[i - 1].row) starts.push_back(i);
  const auto rows = std::ssize(starts);
  starts.push_back(predictions.size());
  grow(logits_, rows * logit_stride_);
  targets_.resize(static_cast<std::size_t>(rows));
  losses_.resize(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    const Prediction& first = predictions[starts[static_cast<std::size_t>(i)]];
    std::copy_n(x_.data() + first.row * width_, width_, branch_.data() + i * width_);
    targets_[static_cast<std::size_t>(i)] = first.token;
  }
  norm(final_norm_, rows, branch_, normed_);
  if (logit_scale_ != 1) cpu::scale({0, rows * width_}, logit_scale_, normed_.data());
  head_.forward(rows, normed_.data(), logits_.data(), logit_stride_);
  in_parts(rows, [&](cpu::Range range, std::int64_t) {
    const auto each = [&](const auto& body) {
      for (std::int64_t row = range.begin; row < range.end; ++row)
        for (std::size_t i = starts[static_cast<std::size_t>(row)];
             i < starts[static_cast<std::size_t>(row) + 1];
             ++i)
          body(row, predictions[i]);
    };
    // Each token's logit less the first one's, before the exponentials take their place.
    each([&](std::int64_t row, const Prediction& prediction) {
      const Real* z = logits_.data() + row * logit_stride_;
      logp[prediction.to] = static_cast<double>(z[prediction.token]) -
                            static_cast<double>(z[targets_[static_cast<std::size_t>(row)]]);
    });
    cpu::cross_entropy(range,
                       cpu::CrossEntropy{.vocab = vocab_, .stride = logit_stride_},
                       targets_.data(),
                       logits_.data(),
                       losses_.data());
    each([&](std::int64_t row, const Prediction& prediction) {
      logp[prediction.to] -= losses_[static_cast<std::size_t>(row)];
    });
  });
}

}  // namespace

std::unique_ptr<Network> cpu_network(const run::RunSpec& spec,
                                     const Parameters& parameters,
                                     Products products) {
  if (parameters.values().scalar_type() == at::kDouble)
    return std::make_unique<CpuNetwork<double>>(spec, parameters, products);
  return std::make_unique<CpuNetwork<float>>(spec, parameters, products);
}

}  // namespace ration::train
