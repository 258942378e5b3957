#include "train/passes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "run/experts.h"
#include "train/cpu/attention.h"
#include "train/cpu/buffer.h"
#include "train/cpu/combine.h"
#include "train/cpu/rows.h"
#include "train/experts/layer.h"
#include "train/experts/merged_mlp.h"
#include "train/linear.h"
#include "train/memory.h"
#include "train/parallel.h"
#include "train/width_rule.h"

namespace ration::train {
namespace {

template <class Real>
class CpuPasses final : public Passes {
 public:
  CpuPasses(const run::RunSpec& spec, Parameters& parameters);

  double add_gradients(const TokenRows& rows, const BatchPlace& place, double weight) override {
    return in_chunks(rows, [&](const TokenRows& chunk, std::int64_t first) {
      const BatchPlace at{.step = place.step, .first_sequence = place.first_sequence + first};
      forward(chunk, &at);
      const double loss = losses(chunk, weight);
      backward(chunk, at, weight);
      return loss;
    });
  }

  double loss_sum(const TokenRows& rows) override {
    return in_chunks(rows, [&](const TokenRows& chunk, std::int64_t) {
      forward(chunk, nullptr);
      return losses(chunk, 0);
    });
  }

  void token_losses(const TokenRows& rows, std::span<double> out) override {
    in_chunks(rows, [&](const TokenRows& chunk, std::int64_t first) {
      forward(chunk, nullptr);
      const double sum = losses(chunk, 0);
      const std::int64_t count = chunk.sequences * chunk.positions;
      std::copy_n(row_losses_.begin(), count, out.begin() + first * rows.positions);
      return sum;
    });
  }

  void show_inputs(const TokenRows& rows, const InputViewer& see) override {
    in_chunks(rows, [&](const TokenRows& chunk, std::int64_t) {
      forward(chunk, nullptr);
      show_inputs_of(chunk.sequences * chunk.positions, see);
      return 0.0;
    });
  }

  void time_stages(StageClock* stages) override { stages_ = stages; }
  void use(Products products) override {
    for (Layer& layer : layers_)
      for (Linear<Real>* each : {&layer.qkv, &layer.out, &layer.up, &layer.gate, &layer.down})
        each->use(products);
    head_.use(products);
  }
  void release() override;

 private:
  using Buffer = cpu::Buffer<Real>;

  struct Norm {
    cpu::Norm<Real> norm;
    Real* gain_grad = nullptr;
    Real* bias_grad = nullptr;
  };

  // A layer's parameters and what its forward pass leaves for the backward one. `up` and `gate`
  // hold derivatives of the activation, later gradients.
  struct Layer {
    Norm norm1, norm2;
    Linear<Real> qkv, out, up, gate, down;
    Buffer x, stats1, normed1, projected, mixed, log_sums;
    Buffer middle, stats2, normed2, up_values, gate_values, hidden;
    std::unique_ptr<experts::Layer> experts;                // null: the MLP alone
    std::unique_ptr<experts::MergedMlp<Real>> merged;       // computes in its place, where it can
    std::vector<std::vector<experts::RowsOf>> merged_rows;  // of each merged expert …
    Buffer merged_p, merged_second;                         // … and how it is merged
    Buffer adapted;  // what the MLP gives to adapters; what experts give before it is scaled
    at::Tensor routed_h, routed_x;  // what experts read in the last forward pass
    experts::Routed routed;

    // Experts do not replace the MLP, or there are none.
    bool has_mlp() const { return down.exists() && !mlp_within; }
    bool mlp_within = false;  // it is computed with its experts
  };

  Norm norm_named(const std::string& name);
  Linear<Real> linear_named(const std::string& name);
  std::vector<Buffer*> buffers();
  void refresh();
  void reserve(std::int64_t rows);

  template <class Body>
  double in_chunks(const TokenRows& rows, const Body& body);
  void forward(const TokenRows& chunk, const BatchPlace* place);
  void embed(const TokenRows& chunk, const BatchPlace* place);
  void forward_layer(std::size_t index, const TokenRows& chunk, const BatchPlace* place);
  void mlp_forward(Layer& layer, std::int64_t rows);
  void mlp_backward(Layer& layer, std::int64_t rows, const Real* d);
  experts::Places places_of(const TokenRows& chunk) const;
  void route(Layer& layer, const TokenRows& chunk, const BatchPlace* place);
  void merged_forward(Layer& layer, const TokenRows& chunk, const BatchPlace* place);
  void merged_backward(Layer& layer, const TokenRows& chunk, const Real* d, double weight);
  void scale_units(const Layer& layer, Real* values) const;
  void add_state_gradient(Layer& layer, std::int64_t numbers);
  at::Tensor penalty_of(const Layer& layer, const TokenRows& chunk) const;
  void experts_forward(Layer& layer, const TokenRows& chunk, const BatchPlace* place);
  void experts_backward(Layer& layer, const TokenRows& chunk, const Real* d, double weight);
  void show_inputs_of(std::int64_t rows, const InputViewer& see);
  double losses(const TokenRows& chunk, double weight);
  void backward(const TokenRows& chunk, const BatchPlace& place, double weight);
  void backward_layer(std::size_t index,
                      const TokenRows& chunk,
                      const BatchPlace& place,
                      double weight);
  void embed_backward(const TokenRows& chunk, const BatchPlace& place);

  void norm_forward(const Norm& norm, std::int64_t rows, const Real* x, Real* out, Real* stats);
  void norm_backward(const Norm& norm, std::int64_t rows, const Real* x, const Real* stats);
  cpu::Attention<Real> attention(std::size_t layer,
                                 const TokenRows& chunk,
                                 const BatchPlace* place) const;
  void drop(const BatchPlace* place,
            std::size_t layer,
            DropoutSite site,
            const TokenRows& chunk,
            Real* values) const;
  const Real* dropped_gradient(const BatchPlace& place,
                               std::size_t layer,
                               DropoutSite site,
                               const TokenRows& chunk);
  Buffer& input_of_next(std::size_t layer) {
    return layer + 1 < layers_.size() ? layers_[layer + 1].x : last_;
  }

  // On what the head multiplies, which is less than the logits themselves.
  void scale_logits(std::int64_t rows, Real* x) const {
    if (rule_.logit_scale != 1)
      cpu::scale({0, rows * width_}, static_cast<Real>(rule_.logit_scale), x);
  }
  void lap(Stage stage) const {
    if (stages_ != nullptr) stages_->lap(stage);
  }

  run::RunSpec spec_;
  Parameters& parameters_;
  Dropout dropout_;
  StageClock* stages_ = nullptr;
  cpu::Activation activation_;
  WidthRule rule_;
  std::int64_t width_, hidden_width_, logit_stride_;
  const Real* embedding_;
  Real* embedding_grad_;
  const Real* positions_ = nullptr;
  Real* positions_grad_ = nullptr;
  Buffer cosines_, sines_;
  std::vector<Layer> layers_;
  Norm final_norm_;
  Linear<Real> head_;

  experts::Places places_;  // of the last forward pass, where there are experts
  std::int64_t reserved_rows_ = 0;
  Buffer last_, final_stats_, final_normed_, logits_;
  std::vector<double> row_losses_;
  Buffer branch_;                                        // of a residual, then its gradient
  Buffer dx_, dnormed_, dmixed_, dprojected_, dhidden_;  // gradients
  Buffer scratch_, gain_parts_;                          // of each thread
};

template <class Real>
typename CpuPasses<Real>::Norm CpuPasses<Real>::norm_named(const std::string& name) {
  const Parameters::Entry& gain = parameters_.at(name + ".g");
  Norm result;
  result.norm = {.width = width_,
                 .centred = spec_.family == "gpt2",
                 .eps = spec_.norm_eps,
                 .gain = gain.value.const_data_ptr<Real>()};
  result.gain_grad = gain.grad.data_ptr<Real>();
  if (parameters_.has(name + ".b")) {
    const Parameters::Entry& bias = parameters_.at(name + ".b");
    result.norm.bias = bias.value.const_data_ptr<Real>();
    result.bias_grad = bias.grad.data_ptr<Real>();
  }
  return result;
}

template <class Real>
Linear<Real> CpuPasses<Real>::linear_named(const std::string& name) {
  if (!parameters_.has(name + ".w")) return {};
  return Linear<Real>(parameters_.at(name + ".w"),
                      parameters_.has(name + ".b") ? &parameters_.at(name + ".b") : nullptr);
}

template <class Real>
CpuPasses<Real>::CpuPasses(const run::RunSpec& spec, Parameters& parameters)
    : spec_(spec),
      parameters_(parameters),
      dropout_(spec.dropout, static_cast<std::uint64_t>(spec.seed)),
      activation_(cpu::activation_of(spec.mlp)),
      rule_(spec),
      width_(spec.width),
      hidden_width_(spec.mlp_width),
      logit_stride_(cpu::rounded_up<Real>(spec.vocab)),
      layers_(static_cast<std::size_t>(spec.layers)) {
  const Parameters::Entry& embedding = parameters.at("wte");
  embedding_ = embedding.value.const_data_ptr<Real>();
  embedding_grad_ = embedding.grad.data_ptr<Real>();
  if (parameters.has("wpe")) {
    positions_ = parameters.at("wpe").value.const_data_ptr<Real>();
    positions_grad_ = parameters.at("wpe").grad.data_ptr<Real>();
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string h = fmt::format("h{}.", i);
    Layer& layer = layers_[i];
    layer.norm1 = norm_named(h + "ln1");
    layer.norm2 = norm_named(h + "ln2");
    layer.qkv = linear_named(h + "attn.qkv");
    layer.out = linear_named(h + "attn.o");
    layer.up = linear_named(h + "mlp.up");
    layer.gate = linear_named(h + "mlp.gate");
    layer.down = linear_named(h + "mlp.down");
    const auto index = static_cast<std::int64_t>(i);
    if (!run::has_experts(spec, index)) continue;
    layer.experts = std::make_unique<experts::Layer>(spec, parameters, index);
    layer.mlp_within = spec.expert_kind == "lowrank";
    if (spec.expert_kind == "ffn" && !layer.experts->router().mixes())
      layer.merged = std::make_unique<experts::MergedMlp<Real>>(spec, parameters, index);
  }
  final_norm_ = norm_named("lnf");
  head_ = Linear<Real>(parameters.at(spec.tied ? "wte" : "head.w"), nullptr);
  if (spec.family != "llama") return;
  const std::int64_t half = spec.width / spec.heads / 2;
  for (std::int64_t t = 0; t < spec.context; ++t)
    for (std::int64_t j = 0; j < half; ++j) {
      const double angle =
          static_cast<double>(t) *
          std::pow(spec.rope_base, -static_cast<double>(j) / static_cast<double>(half));
      cosines_.push_back(static_cast<Real>(std::cos(angle)));
      sines_.push_back(static_cast<Real>(std::sin(angle)));
    }
}

template <class Real>
void CpuPasses<Real>::refresh() {
  for (Layer& layer : layers_)
    for (Linear<Real>* linear : {&layer.qkv, &layer.out, &layer.up, &layer.gate, &layer.down})
      linear->refresh();
  for (Layer& layer : layers_)
    if (layer.merged) layer.merged->refresh();
  head_.refresh();
}

// Every buffer whose size follows from the rows computed at once.
template <class Real>
std::vector<cpu::Buffer<Real>*> CpuPasses<Real>::buffers() {
  std::vector<Buffer*> all = {&last_,
                              &final_stats_,
                              &final_normed_,
                              &logits_,
                              &branch_,
                              &dx_,
                              &dnormed_,
                              &dmixed_,
                              &dprojected_,
                              &dhidden_,
                              &scratch_,
                              &gain_parts_};
  for (Layer& layer : layers_)
    for (Buffer* buffer : {&layer.x,
                           &layer.stats1,
                           &layer.normed1,
                           &layer.projected,
                           &layer.mixed,
                           &layer.log_sums,
                           &layer.middle,
                           &layer.stats2,
                           &layer.normed2,
                           &layer.up_values,
                           &layer.gate_values,
                           &layer.hidden,
                           &layer.adapted})
      all.push_back(buffer);
  return all;
}

template <class Real>
void CpuPasses<Real>::release() {
  reserved_rows_ = 0;
  for (Buffer* buffer : buffers()) Buffer().swap(*buffer);
}

// Buffers for so many rows; they only grow.
template <class Real>
void CpuPasses<Real>::reserve(std::int64_t rows) {
  if (rows <= reserved_rows_) return;
  const auto size = [&](Buffer& buffer, std::int64_t columns) {
    buffer.resize(static_cast<std::size_t>(rows * columns));
  };
  for (Layer& layer : layers_) {
    for (Buffer* buffer : {&layer.x, &layer.normed1, &layer.mixed, &layer.middle, &layer.normed2})
      size(*buffer, width_);
    size(layer.projected, 3 * width_);
    size(layer.log_sums, spec_.heads);
    size(layer.stats1, 2);
    size(layer.stats2, 2);
    if (layer.experts) size(layer.adapted, width_);
    if (!layer.has_mlp() && !layer.merged) continue;
    const std::int64_t hidden = layer.merged ? run::expert_width(spec_) : hidden_width_;
    size(layer.up_values, hidden);
    if (spec_.mlp == "swiglu") size(layer.gate_values, hidden);
    size(layer.hidden, hidden);
  }
  for (Buffer* buffer : {&last_, &final_normed_, &branch_, &dx_, &dnormed_, &dmixed_})
    size(*buffer, width_);
  size(final_stats_, 2);
  size(logits_, logit_stride_);
  size(dprojected_, 3 * width_);
  size(dhidden_, std::max(hidden_width_, run::expert_width(spec_)));
  row_losses_.resize(static_cast<std::size_t>(rows));
  reserved_rows_ = rows;  // last: memory may run out above
}

template <class Real>
template <class Body>
double CpuPasses<Real>::in_chunks(const TokenRows& rows, const Body& body) {
  refresh();
  lap(Stage::products);
  const std::int64_t at_once = sequences_at_once(spec_, rows.sequences, rows.positions, parts());
  reserve(at_once * rows.positions);
  double sum = 0;
  for (std::int64_t first = 0; first < rows.sequences; first += at_once) {
    TokenRows chunk = rows;
    chunk.inputs += first * rows.positions;
    chunk.targets += first * rows.positions;
    if (chunk.sources != nullptr) chunk.sources += first;
    chunk.sequences = std::min(at_once, rows.sequences - first);
    sum += body(chunk, first);
  }
  return sum;
}

template <class Real>
cpu::Attention<Real> CpuPasses<Real>::attention(std::size_t layer,
                                                const TokenRows& chunk,
                                                const BatchPlace* place) const {
  cpu::Attention<Real> result{.positions = chunk.positions,
                              .heads = spec_.heads,
                              .head_width = spec_.width / spec_.heads,
                              .scale = static_cast<Real>(rule_.attention_scale),
                              .unit_query_key = spec_.qk_norm,
                              .eps = static_cast<Real>(spec_.norm_eps)};
  if (!cosines_.empty()) result.cosines = cosines_.data(), result.sines = sines_.data();
  if (place != nullptr) {
    result.mask =
        dropout_.mask(*place, static_cast<std::int64_t>(layer), DropoutSite::attention_weights);
    result.first_sequence = place->first_sequence;
  }
  return result;
}

template <class Real>
void CpuPasses<Real>::drop(const BatchPlace* place,
                           std::size_t layer,
                           DropoutSite site,
                           const TokenRows& chunk,
                           Real* values) const {
  if (place == nullptr || !dropout_.active()) return;
  const std::int64_t sequence = chunk.positions * width_;
  cpu::apply_mask(dropout_.mask(*place, static_cast<std::int64_t>(layer), site),
                  static_cast<std::uint64_t>(place->first_sequence * sequence),
                  chunk.sequences * sequence,
                  values);
}

template <class Real>
void CpuPasses<Real>::norm_forward(
    const Norm& norm, std::int64_t rows, const Real* x, Real* out, Real* stats) {
  in_parts(rows, [&](cpu::Range range, std::int64_t) {
    cpu::norm_forward(range, norm.norm, x, out, stats);
  });
}

// Adds what dnormed_ becomes behind the norm to dx_.
template <class Real>
void CpuPasses<Real>::norm_backward(const Norm& norm,
                                    std::int64_t rows,
                                    const Real* x,
                                    const Real* stats) {
  const auto width = static_cast<std::size_t>(width_);
  gain_parts_.assign(2 * width * static_cast<std::size_t>(parts()), Real(0));
  in_parts(rows, [&](cpu::Range range, std::int64_t part) {
    Real* sums = gain_parts_.data() + 2 * part * width_;
    cpu::norm_backward(range,
                       norm.norm,
                       x,
                       stats,
                       dnormed_.data(),
                       dx_.data(),
                       sums,
                       norm.bias_grad == nullptr ? nullptr : sums + width_);
  });
  for (std::int64_t part = 0; part < parts(); ++part) {
    const Real* sums = gain_parts_.data() + 2 * part * width_;
    cpu::add({0, width_}, norm.gain_grad, sums, norm.gain_grad);
    if (norm.bias_grad != nullptr)
      cpu::add({0, width_}, norm.bias_grad, sums + width_, norm.bias_grad);
  }
}

template <class Real>
void CpuPasses<Real>::embed(const TokenRows& chunk, const BatchPlace* place) {
  Real* x = (layers_.empty() ? last_ : layers_[0].x).data();
  for (std::int64_t row = 0; row < chunk.sequences * chunk.positions; ++row) {
    Real* to = x + row * width_;
    std::copy_n(embedding_ + chunk.inputs[row] * width_, width_, to);
    if (positions_ != nullptr)
      cpu::add({0, width_}, to, positions_ + row % chunk.positions * width_, to);
  }
  drop(place, 0, DropoutSite::embedding, chunk, x);
}

template <class Real>
void CpuPasses<Real>::forward_layer(std::size_t index,
                                    const TokenRows& chunk,
                                    const BatchPlace* place) {
  Layer& layer = layers_[index];
  const std::int64_t rows = chunk.sequences * chunk.positions;
  const auto add_branch = [&](const Buffer& x, DropoutSite site, Buffer& out) {
    drop(place, index, site, chunk, branch_.data());
    cpu::add({0, rows * width_}, x.data(), branch_.data(), out.data());
  };
  norm_forward(layer.norm1, rows, layer.x.data(), layer.normed1.data(), layer.stats1.data());
  lap(Stage::norms);
  layer.qkv.forward(rows, layer.normed1.data(), layer.projected.data(), 3 * width_);
  lap(Stage::products);
  const cpu::Attention<Real> shape = attention(index, chunk, place);
  const std::int64_t scratch = cpu::attention_scratch(shape);
  scratch_.resize(static_cast<std::size_t>(parts() * scratch));
  in_parts(chunk.sequences * spec_.heads, [&](cpu::Range items, std::int64_t part) {
    cpu::attention_forward(items,
                           shape,
                           layer.projected.data(),
                           layer.mixed.data(),
                           layer.log_sums.data(),
                           scratch_.data() + part * scratch);
  });
  lap(Stage::attention);
  layer.out.forward(rows, layer.mixed.data(), branch_.data(), width_);
  lap(Stage::products);
  add_branch(layer.x, DropoutSite::attention_branch, layer.middle);
  lap(Stage::rest);

  norm_forward(layer.norm2, rows, layer.middle.data(), layer.normed2.data(), layer.stats2.data());
  lap(Stage::norms);
  if (layer.has_mlp()) mlp_forward(layer, rows);
  if (layer.merged)
    merged_forward(layer, chunk, place);
  else if (layer.experts)
    experts_forward(layer, chunk, place);
  add_branch(layer.middle, DropoutSite::mlp_branch, input_of_next(index));
  lap(Stage::rest);
}

// Into branch_.
template <class Real>
void CpuPasses<Real>::mlp_forward(Layer& layer, std::int64_t rows) {
  layer.up.forward(rows, layer.normed2.data(), layer.up_values.data(), hidden_width_);
  if (layer.gate.exists())
    layer.gate.forward(rows, layer.normed2.data(), layer.gate_values.data(), hidden_width_);
  lap(Stage::products);
  in_parts(rows * hidden_width_, [&](cpu::Range elements, std::int64_t) {
    cpu::activate(elements,
                  activation_,
                  layer.up_values.data(),
                  layer.gate_values.data(),
                  layer.hidden.data());
  });
  lap(Stage::activations);
  layer.down.forward(rows, layer.hidden.data(), branch_.data(), width_);
  lap(Stage::products);
}

template <class Real>
experts::Places CpuPasses<Real>::places_of(const TokenRows& chunk) const {
  const auto ids = [](const std::int64_t* from, at::IntArrayRef sizes) {
    return at::from_blob(const_cast<std::int64_t*>(from), sizes, at::kLong);
  };
  experts::About about{.sources = {}, .end_token = chunk.end_token};
  if (chunk.sources != nullptr) about.sources = ids(chunk.sources, {chunk.sequences});
  return experts::places_of(spec_,
                            ids(chunk.inputs, {chunk.sequences, chunk.positions}),
                            about,
                            parameters_.values().scalar_type());
}

// How the units of a chunk are merged, with a place on a graph of its own.
template <class Real>
void CpuPasses<Real>::route(Layer& layer, const TokenRows& chunk, const BatchPlace* place) {
  const c10::InferenceMode with_graphs(false);
  const c10::AutoGradMode graph(place != nullptr && spec_.tune != "head");
  layer.routed_h = at::from_blob(layer.middle.data(),
                                 {chunk.sequences, chunk.positions, width_},
                                 parameters_.values().scalar_type())
                       .set_requires_grad(c10::GradMode::is_enabled());
  layer.routed = {};
  layer.routed.routing = layer.experts->router().route(layer.routed_h, places_, place);
  const auto alike = static_cast<std::size_t>(run::stored_experts(spec_));
  const auto take = [&](const at::Tensor& weights, Buffer& p) {
    p.assign(alike, Real(1) / static_cast<Real>(alike));
    if (!weights.defined()) return;
    const at::Tensor values = weights.detach().contiguous();
    p.insert(
        p.end(), values.const_data_ptr<Real>(), values.const_data_ptr<Real>() + values.numel());
  };
  const experts::Routing& routing = layer.routed.routing;
  take(routing.weights, layer.merged_p);
  layer.merged_second.clear();
  if (routing.second.defined()) take(routing.second, layer.merged_second);
  layer.merged_rows = routing.weights.defined()
                          ? experts::rows_of_units(places_)
                          : std::vector<std::vector<experts::RowsOf>>{
                                {{.first = 0, .count = chunk.sequences * chunk.positions}}};
}

// Multiplies the rows of each routed unit by its scale.
template <class Real>
void CpuPasses<Real>::scale_units(const Layer& layer, Real* values) const {
  const at::Tensor scale = layer.routed.routing.scale.detach().contiguous();
  const Real* factor = scale.const_data_ptr<Real>();
  for (std::size_t r = 1; r < layer.merged_rows.size(); ++r, ++factor)
    for (const experts::RowsOf& its : layer.merged_rows[r])
      cpu::scale({its.first * width_, (its.first + its.count) * width_}, *factor, values);
}

template <class Real>
void CpuPasses<Real>::merged_forward(Layer& layer,
                                     const TokenRows& chunk,
                                     const BatchPlace* place) {
  route(layer, chunk, place);
  layer.merged->forward(layer.merged_p,
                        layer.merged_second,
                        layer.merged_rows,
                        {.x = layer.normed2.data(),
                         .up = layer.up_values.data(),
                         .gate = layer.gate_values.data(),
                         .hidden = layer.hidden.data()},
                        branch_.data());
  if (layer.routed.routing.scale.defined()) {
    std::copy_n(branch_.data(), chunk.sequences * chunk.positions * width_, layer.adapted.data());
    scale_units(layer, branch_.data());
  }
  lap(Stage::products);
}

// Of the MLP's input, or of its output, into branch_; with a place, on a graph of their own.
template <class Real>
void CpuPasses<Real>::experts_forward(Layer& layer,
                                      const TokenRows& chunk,
                                      const BatchPlace* place) {
  const c10::InferenceMode with_graphs(false);
  const c10::AutoGradMode graph(place != nullptr && spec_.tune != "head");
  const auto input = [&](Buffer& values) {
    return at::from_blob(values.data(),
                         {chunk.sequences, chunk.positions, width_},
                         parameters_.values().scalar_type())
        .set_requires_grad(place != nullptr);
  };
  if (layer.has_mlp()) layer.adapted.swap(branch_);
  layer.routed_h = input(layer.middle);
  layer.routed_x = input(layer.has_mlp() ? layer.adapted : layer.normed2);
  layer.routed = layer.experts->forward(layer.routed_h, layer.routed_x, places_, place);
  const at::Tensor y = layer.routed.y.contiguous();
  std::copy_n(y.const_data_ptr<Real>(), y.numel(), branch_.data());
  lap(Stage::products);
}

template <class Real>
void CpuPasses<Real>::forward(const TokenRows& chunk, const BatchPlace* place) {
  const std::int64_t rows = chunk.sequences * chunk.positions;
  embed(chunk, place);
  if (run::has_experts(spec_)) {
    const c10::InferenceMode with_graphs(false);
    places_ = places_of(chunk);
  }
  lap(Stage::rest);
  for (std::size_t i = 0; i < layers_.size(); ++i) forward_layer(i, chunk, place);
  norm_forward(final_norm_, rows, last_.data(), final_normed_.data(), final_stats_.data());
  scale_logits(rows, final_normed_.data());
  lap(Stage::norms);
  head_.forward(rows, final_normed_.data(), logits_.data(), logit_stride_);
  lap(Stage::classifier);
}

// Of the last forward pass, which leaves them for a backward one.
template <class Real>
void CpuPasses<Real>::show_inputs_of(std::int64_t rows, const InputViewer& see) {
  const at::ScalarType type = parameters_.values().scalar_type();
  const auto show = [&](const std::string& name, Buffer& x, std::int64_t columns) {
    see(name + ".w", at::from_blob(x.data(), {rows, columns}, type));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string h = fmt::format("h{}.", i);
    Layer& layer = layers_[i];
    show(h + "attn.qkv", layer.normed1, width_);
    show(h + "attn.o", layer.mixed, width_);
    if (layer.gate.exists()) show(h + "mlp.gate", layer.normed2, width_);
    if (layer.up.exists()) show(h + "mlp.up", layer.normed2, width_);
    if (layer.has_mlp()) show(h + "mlp.down", layer.hidden, hidden_width_);
  }
  if (!spec_.tied) show("head", final_normed_, width_);
}

// Sum over the chunk; with a weight, logits become their gradient.
template <class Real>
double CpuPasses<Real>::losses(const TokenRows& chunk, double weight) {
  const std::int64_t rows = chunk.sequences * chunk.positions;
  const cpu::CrossEntropy options{.vocab = spec_.vocab,
                                  .stride = logit_stride_,
                                  .weight = weight,
                                  .square_weight = spec_.z_loss};
  in_parts(rows, [&](cpu::Range range, std::int64_t) {
    cpu::cross_entropy(range, options, chunk.targets, logits_.data(), row_losses_.data());
  });
  lap(Stage::classifier);
  return std::accumulate(row_losses_.begin(), row_losses_.begin() + rows, 0.0);
}

// dx_ as the branch saw it: itself, or a copy with the branch's dropout.
template <class Real>
const Real* CpuPasses<Real>::dropped_gradient(const BatchPlace& place,
                                              std::size_t layer,
                                              DropoutSite site,
                                              const TokenRows& chunk) {
  if (!dropout_.active()) return dx_.data();
  std::copy_n(dx_.data(), chunk.sequences * chunk.positions * width_, branch_.data());
  drop(&place, layer, site, chunk, branch_.data());
  return branch_.data();
}

// From the gradient d of its output to dnormed_.
template <class Real>
void CpuPasses<Real>::mlp_backward(Layer& layer, std::int64_t rows, const Real* d) {
  using cpu::Store;
  layer.down.backward(rows, layer.hidden.data(), d, width_, dhidden_.data(), Store::replace);
  lap(Stage::products);
  Real* gate = layer.gate.exists() ? layer.gate_values.data() : nullptr;
  in_parts(rows * hidden_width_, [&](cpu::Range elements, std::int64_t) {
    cpu::activation_backward(elements, dhidden_.data(), layer.up_values.data(), gate);
  });
  lap(Stage::activations);
  const Real* normed2 = layer.normed2.data();
  layer.up.backward(
      rows, normed2, layer.up_values.data(), hidden_width_, dnormed_.data(), Store::replace);
  if (gate != nullptr)
    layer.gate.backward(rows, normed2, gate, hidden_width_, dnormed_.data(), Store::add);
  lap(Stage::products);
}

// From the gradient d of their output: what the block's states get is added to dx_, the input's
// takes the input's place where that is the MLP's output, and is dnormed_ elsewhere.
template <class Real>
void CpuPasses<Real>::experts_backward(Layer& layer,
                                       const TokenRows& chunk,
                                       const Real* d,
                                       double weight) {
  const c10::InferenceMode with_graphs(false);
  const at::ScalarType type = parameters_.values().scalar_type();
  const at::Tensor& y = layer.routed.y;
  const at::Tensor dy = at::from_blob(const_cast<Real*>(d), y.sizes(), type);
  const at::Tensor penalty = penalty_of(layer, chunk);
  if (penalty.defined())
    ((y * dy).sum() + weight * penalty).backward();
  else
    y.backward(dy);
  const std::int64_t numbers = y.numel();
  const at::Tensor dx = layer.routed_x.grad().contiguous();
  std::copy_n(
      dx.const_data_ptr<Real>(), numbers, layer.has_mlp() ? layer.adapted.data() : dnormed_.data());
  add_state_gradient(layer, numbers);
  lap(Stage::products);
}

template <class Real>
at::Tensor CpuPasses<Real>::penalty_of(const Layer& layer, const TokenRows& chunk) const {
  const at::Tensor token_losses = at::from_blob(
      const_cast<double*>(row_losses_.data()), {chunk.sequences, chunk.positions}, at::kDouble);
  return layer.experts->router().penalty(layer.routed.routing, places_, token_losses);
}

// Adds to dx_ what the router's gradient of the block's states is, and forgets the graph.
template <class Real>
void CpuPasses<Real>::add_state_gradient(Layer& layer, std::int64_t numbers) {
  if (layer.routed_h.grad().defined()) {
    const at::Tensor dh = layer.routed_h.grad().contiguous();
    cpu::add({0, numbers}, dx_.data(), dh.const_data_ptr<Real>(), dx_.data());
  }
  layer.routed = {};
  layer.routed_h.reset();
  layer.routed_x.reset();
}

// From the gradient d of their output to dnormed_; the router's own follow from those of the
// weights by its graph.
template <class Real>
void CpuPasses<Real>::merged_backward(Layer& layer,
                                      const TokenRows& chunk,
                                      const Real* d,
                                      double weight) {
  const experts::Routing& routing = layer.routed.routing;
  const std::int64_t numbers = chunk.sequences * chunk.positions * width_;
  const auto units = [&](const Buffer& values) {  // behind those of the expert that nothing routes
    return at::from_blob(const_cast<Real*>(values.data()) + run::stored_experts(spec_),
                         routing.weights.sizes(),
                         parameters_.values().scalar_type());
  };
  at::Tensor dscale;
  if (routing.scale.defined()) {
    dscale = at::empty_like(routing.scale.detach()).contiguous();
    auto* to = dscale.data_ptr<Real>();
    for (std::size_t r = 1; r < layer.merged_rows.size(); ++r, ++to) {
      *to = 0;
      for (const experts::RowsOf& its : layer.merged_rows[r])
        cpu::add_dots<Real>(1,
                            1,
                            its.count * width_,
                            {d + its.first * width_, 0},
                            {layer.adapted.data() + its.first * width_, 0},
                            {to, 0});
    }
    std::copy_n(d, numbers, branch_.data());
    scale_units(layer, branch_.data());
    d = branch_.data();
  }
  Buffer dp(layer.merged_p.size(), Real(0)), dsecond(layer.merged_second.size(), Real(0));
  layer.merged->backward(layer.merged_p,
                         layer.merged_second,
                         layer.merged_rows,
                         {.x = layer.normed2.data(),
                          .up = layer.up_values.data(),
                          .gate = layer.gate_values.data(),
                          .hidden = layer.hidden.data()},
                         d,
                         dhidden_.data(),
                         dnormed_.data(),
                         dp,
                         dsecond);
  const c10::InferenceMode with_graphs(false);
  at::Tensor sum = penalty_of(layer, chunk);
  if (sum.defined()) sum = weight * sum;
  const auto add = [&](const at::Tensor& value, const at::Tensor& gradient) {
    if (!value.defined() || !value.requires_grad()) return;
    const at::Tensor more = (value * gradient).sum();
    sum = sum.defined() ? sum + more : more;
  };
  const bool weights_alone = !sum.defined() && !routing.scale.defined();
  if (weights_alone && routing.weights.defined() && routing.weights.requires_grad()) {
    routing.weights.backward(units(dp));
  } else {
    if (routing.weights.defined()) add(routing.weights, units(dp));
    add(routing.scale, dscale);
    if (sum.defined() && sum.requires_grad()) sum.backward();
  }
  add_state_gradient(layer, numbers);
  lap(Stage::products);
}

template <class Real>
void CpuPasses<Real>::backward_layer(std::size_t index,
                                     const TokenRows& chunk,
                                     const BatchPlace& place,
                                     double weight) {
  using cpu::Store;
  Layer& layer = layers_[index];
  const std::int64_t rows = chunk.sequences * chunk.positions;
  const Real* d = dropped_gradient(place, index, DropoutSite::mlp_branch, chunk);
  lap(Stage::rest);
  if (layer.merged)
    merged_backward(layer, chunk, d, weight);
  else if (layer.experts)
    experts_backward(layer, chunk, d, weight);
  if (layer.has_mlp()) mlp_backward(layer, rows, layer.experts ? layer.adapted.data() : d);
  norm_backward(layer.norm2, rows, layer.middle.data(), layer.stats2.data());
  lap(Stage::norms);

  d = dropped_gradient(place, index, DropoutSite::attention_branch, chunk);
  lap(Stage::rest);
  layer.out.backward(rows, layer.mixed.data(), d, width_, dmixed_.data(), Store::replace);
  lap(Stage::products);
  const cpu::Attention<Real> shape = attention(index, chunk, &place);
  const std::int64_t scratch = cpu::attention_scratch(shape);
  in_parts(chunk.sequences * spec_.heads, [&](cpu::Range items, std::int64_t part) {
    cpu::attention_backward(items,
                            shape,
                            layer.projected.data(),
                            layer.log_sums.data(),
                            dmixed_.data(),
                            dprojected_.data(),
                            scratch_.data() + part * scratch);
  });
  lap(Stage::attention);
  lap(Stage::attention);
  layer.qkv.backward(
      rows, layer.normed1.data(), dprojected_.data(), 3 * width_, dnormed_.data(), Store::replace);
  lap(Stage::products);
  norm_backward(layer.norm1, rows, layer.x.data(), layer.stats1.data());
  lap(Stage::norms);
}

// Row by row in order: a token that occurs often sums its gradients in the same order every time.
template <class Real>
void CpuPasses<Real>::embed_backward(const TokenRows& chunk, const BatchPlace& place) {
  drop(&place, 0, DropoutSite::embedding, chunk, dx_.data());
  for (std::int64_t row = 0; row < chunk.sequences * chunk.positions; ++row) {
    const Real* from = dx_.data() + row * width_;
    Real* to = embedding_grad_ + chunk.inputs[row] * width_;
    cpu::add({0, width_}, to, from, to);
    if (positions_grad_ == nullptr) continue;
    Real* position = positions_grad_ + row % chunk.positions * width_;
    cpu::add({0, width_}, position, from, position);
  }
}

template <class Real>
void CpuPasses<Real>::backward(const TokenRows& chunk, const BatchPlace& place, double weight) {
  const std::int64_t rows = chunk.sequences * chunk.positions;
  head_.backward(rows,
                 final_normed_.data(),
                 logits_.data(),
                 logit_stride_,
                 dnormed_.data(),
                 cpu::Store::replace);
  lap(Stage::classifier);
  scale_logits(rows, dnormed_.data());
  std::fill_n(dx_.data(), rows * width_, Real(0));
  norm_backward(final_norm_, rows, last_.data(), final_stats_.data());
  lap(Stage::norms);
  if (spec_.tune == "head") return;  // nothing below changes
  for (std::size_t i = layers_.size(); i-- > 0;) backward_layer(i, chunk, place, weight);
  embed_backward(chunk, place);
  lap(Stage::rest);
}

}  // namespace

std::unique_ptr<Passes> make_passes(const run::RunSpec& spec, Parameters& parameters) {
  if (parameters.values().scalar_type() == at::kDouble)
    return std::make_unique<CpuPasses<double>>(spec, parameters);
  return std::make_unique<CpuPasses<float>>(spec, parameters);
}

}  // namespace ration::train
