#include "train/device/runner.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ration::train::device {
namespace {

using kernels::BFloat16;
using kernels::Rows;

constexpr std::int64_t kLogitBytes = std::int64_t{512} << 20;  // of logits that exist at once

kernels::Activation activation_of(const std::string& mlp) {
  if (mlp == "swiglu") return kernels::Activation::swiglu;
  if (mlp == "relu2") return kernels::Activation::relu2;
  return mlp == "gelu_tanh" ? kernels::Activation::gelu_tanh : kernels::Activation::gelu_erf;
}

}  // namespace

// ---- set-up
// --------------------------------------------------------------------------------------

template <class T>
at::Tensor Runner<T>::buffer(std::int64_t elements, at::ScalarType type) {
  at::Tensor made = at::zeros({elements}, at::TensorOptions(type).device(options_.device));
  bytes_ += static_cast<std::int64_t>(made.nbytes());
  return made;
}

// So many columns for every row that a pass can have.
template <class T>
at::Tensor Runner<T>::rows_buffer(std::int64_t columns, at::ScalarType type) {
  return buffer(runs_ * max_rows_ * columns, type);
}

// The part of a row buffer that a pass uses: [K, rows of a run, columns].
template <class T>
at::Tensor Runner<T>::of_rows(const at::Tensor& rows_buffer, const Rows& rows) const {
  const std::int64_t columns = rows_buffer.numel() / (runs_ * max_rows_);
  return rows_buffer.narrow(0, 0, rows.count * columns).view({runs_, rows.per_run, columns});
}

template <class T>
typename Runner<T>::Matrix Runner<T>::matrix(const std::string& name, bool with_gate) {
  Matrix result;
  const std::string gate = name.substr(0, name.rfind('.')) + ".gate";
  const Slot* slot = layout_.find((with_gate ? gate : name) + ".w");
  if (slot == nullptr) return result;
  const bool of_vocab = name == "head" || name == "wte";
  const std::int64_t rows = of_vocab    ? layout_.vocab_rows()
                            : with_gate ? 2 * slot->rows
                                        : slot->rows;
  const auto view = [&](const at::Tensor& flat) {
    return flat.narrow(1, slot->offset, rows * slot->columns).view({runs_, rows, slot->columns});
  };
  result.weight = view(copy_);
  result.grad = view(grads_);
  if (const Slot* bias = layout_.find(name + ".b"); bias != nullptr) {
    result.bias = data<Real>(values_) + bias->offset;
    result.bias_grad = data<Real>(grads_) + bias->offset;
  }
  return result;
}

template <class T>
typename Runner<T>::NormSlot Runner<T>::norm(const std::string& name) {
  const Slot* gain = layout_.find(name + ".g");
  const Slot* bias = layout_.find(name + ".b");
  NormSlot result;
  result.norm = {.width = width_,
                 .centred = spec_.family == "gpt2",
                 .eps = static_cast<Real>(spec_.norm_eps),
                 .gain = data<Real>(values_) + gain->offset,
                 .bias = bias == nullptr ? nullptr : data<Real>(values_) + bias->offset,
                 .stride = layout_.size()};
  result.gain_grad = data<Real>(grads_) + gain->offset;
  if (bias != nullptr) result.bias_grad = data<Real>(grads_) + bias->offset;
  return result;
}

template <class T>
Runner<T>::Runner(std::vector<run::RunSpec> specs, const DeviceOptions& options)
    : specs_(std::move(specs)),
      spec_(specs_.at(0)),
      options_(options),
      layout_(spec_, options.vocab_multiple),
      runs_(static_cast<std::int64_t>(specs_.size())),
      positions_(spec_.context),
      width_(spec_.width),
      hidden_(spec_.mlp_width),
      max_rows_((options.micro_batch > 0 ? std::min(options.micro_batch, spec_.batch_sequences)
                                         : spec_.batch_sequences) *
                spec_.context),
      attention_(options.fused_attention &&
                         has_fused_attention(options.device, scalar_type<T>(), spec_)
                     ? AttentionKind::fused
                     : AttentionKind::by_products),
      table_(kernels_of<T>(options.device)) {
  const at::ScalarType narrow = scalar_type<T>(), wide = scalar_type<Real>();
  const auto flat = [&](at::ScalarType type) {
    return buffer(runs_ * layout_.size(), type).view({runs_, layout_.size()});
  };
  values_ = flat(wide), grads_ = flat(wide), first_ = flat(wide), second_ = flat(wide);
  copy_ = narrow == wide ? values_ : flat(narrow);
  updates_ = buffer(runs_, at::kLong);
  results_ = buffer(runs_ * static_cast<std::int64_t>(sizeof(kernels::RunResult)), at::kByte);
  factors_ = buffer(runs_ * static_cast<std::int64_t>(sizeof(kernels::RunFactors)), at::kByte);
  square_sums_ = buffer(runs_ * kernels::square_parts(layout_.size()), at::kDouble);

  const auto table = [&](const std::string& name) {  // embeddings are read in wide numbers
    Matrix result;
    const Slot* slot = layout_.find(name);
    if (slot == nullptr) return result;
    const auto view = [&](const at::Tensor& all) {
      return all.narrow(1, slot->offset, slot->rows * slot->columns);
    };
    result.weight = view(values_), result.grad = view(grads_);
    return result;
  };
  embedding_ = table("wte"), positions_table_ = table("wpe");
  const bool gated = spec_.mlp == "swiglu";
  for (std::int64_t i = 0; i < spec_.layers; ++i) {
    const std::string h = fmt::format("h{}.", i);
    Layer layer;
    layer.norm1 = norm(h + "ln1"), layer.norm2 = norm(h + "ln2");
    layer.qkv = matrix(h + "attn.qkv"), layer.out = matrix(h + "attn.o");
    layer.up = matrix(h + "mlp.up", gated), layer.down = matrix(h + "mlp.down");
    layer.x = rows_buffer(width_, wide);
    layers_.push_back(std::move(layer));
  }
  final_norm_ = norm("lnf");
  // The head's matrix is "wte" itself or "head.w".
  head_ = matrix(spec_.tied ? "wte" : "head");
  if (!head_.exists()) {
    const Slot* slot = layout_.find("wte");
    const auto view = [&](const at::Tensor& all) {
      return all.narrow(1, slot->offset, layout_.vocab_rows() * width_)
          .view({runs_, layout_.vocab_rows(), width_});
    };
    head_.weight = view(copy_), head_.grad = view(grads_);
  }

  for (std::int64_t i = 0; i < (options_.recompute ? 1 : spec_.layers); ++i) {
    Work work;
    work.stats1 = rows_buffer(2, wide), work.stats2 = rows_buffer(2, wide);
    work.normed1 = rows_buffer(width_, narrow), work.normed2 = rows_buffer(width_, narrow);
    work.projected = rows_buffer(3 * width_, narrow);
    if (spec_.qk_norm) work.inverses = rows_buffer(2 * spec_.heads, wide);
    work.middle = rows_buffer(width_, wide);
    work.before = rows_buffer(gated ? 2 * hidden_ : hidden_, narrow);
    work.hidden = rows_buffer(hidden_, narrow);
    work_.push_back(std::move(work));
  }
  last_ = rows_buffer(width_, wide), final_stats_ = rows_buffer(2, wide);
  final_normed_ = rows_buffer(width_, narrow);
  chunk_ = std::clamp<std::int64_t>(
      kLogitBytes / (runs_ * layout_.vocab_rows() * static_cast<std::int64_t>(sizeof(T))),
      1,
      max_rows_);
  logits_ = buffer(runs_ * chunk_ * layout_.vocab_rows(), narrow);
  losses_ = buffer(runs_ * max_rows_, at::kDouble);
  dx_ = rows_buffer(width_, wide);
  for (at::Tensor* made : {&branch_, &dbranch_, &dnormed_, &dmixed_})
    *made = rows_buffer(width_, narrow);
  dprojected_ = rows_buffer(3 * width_, narrow);
  dhidden_ = rows_buffer(hidden_, narrow);
  const std::int64_t parts = runs_ * kernels::parts_of(max_rows_).count;
  gain_parts_ = buffer(parts * std::max(3 * width_, hidden_), wide);
  bias_parts_ = buffer(parts * width_, wide);
  if (narrow != wide) {
    std::int64_t largest = head_.weight.numel();
    for (const Layer& layer : layers_)
      for (const Matrix* m : {&layer.qkv, &layer.out, &layer.up, &layer.down})
        largest = std::max(largest, m->weight.numel());
    weight_scratch_ = buffer(largest, narrow);
  }
  if (spec_.family != "llama") return;
  const std::int64_t half = width_ / spec_.heads / 2;
  at::Tensor angles = at::empty({positions_, half}, at::kDouble);
  for (std::int64_t t = 0; t < positions_; ++t)
    for (std::int64_t j = 0; j < half; ++j)
      angles.data_ptr<double>()[t * half + j] =
          static_cast<double>(t) *
          std::pow(spec_.rope_base, -static_cast<double>(j) / static_cast<double>(half));
  cosines_ = at::cos(angles).to(wide).to(options_.device);
  sines_ = at::sin(angles).to(wide).to(options_.device);
}

template <class T>
void Runner<T>::load(std::int64_t run, const Parameters& parameters, AdamW& optimiser) {
  for (const Slot& slot : layout_.slots()) {
    const Parameters::Entry& entry = parameters.at(slot.name);
    const std::int64_t from = entry.value.storage_offset(), count = slot.rows * slot.columns;
    const auto bring = [&](const at::Tensor& flat, const at::Tensor& to) {
      to.select(0, run).narrow(0, slot.offset, count).copy_(flat.narrow(0, from, count));
    };
    bring(parameters.values().detach(), values_);
    bring(optimiser.first_moment(), first_);
    bring(optimiser.second_moment(), second_);
  }
  updates_.select(0, run).fill_(optimiser.updates());
  if (!copy_.is_same(values_)) copy_.select(0, run).copy_(values_.select(0, run));
}

template <class T>
void Runner<T>::store(std::int64_t run, Parameters& parameters, AdamW& optimiser) {
  const at::Tensor all[3] = {
      values_.select(0, run).cpu(), first_.select(0, run).cpu(), second_.select(0, run).cpu()};
  for (const Slot& slot : layout_.slots()) {
    const Parameters::Entry& entry = parameters.at(slot.name);
    const std::int64_t to = entry.value.storage_offset(), count = slot.rows * slot.columns;
    at::Tensor* flats[3] = {
        &parameters.values(), &optimiser.first_moment(), &optimiser.second_moment()};
    for (int i = 0; i < 3; ++i)
      flats[i]->detach().narrow(0, to, count).copy_(all[i].narrow(0, slot.offset, count));
  }
  optimiser.set_updates(updates_.select(0, run).item<std::int64_t>());
}

template <class T>
at::Tensor Runner<T>::gradient(std::int64_t run, const std::string& name) const {
  const Slot* slot = layout_.find(name);
  return grads_.select(0, run)
      .narrow(0, slot->offset, slot->rows * slot->columns)
      .view({slot->rows, slot->columns})
      .cpu();
}

// ---- the step
// ------------------------------------------------------------------------------------

template <class T>
typename Runner<T>::Plan& Runner<T>::plan_for(std::int64_t sequences) {
  const auto found = plans_.find(sequences);
  if (found != plans_.end()) return found->second;
  Inputs inputs(specs_, sequences, max_rows_ / positions_);
  const at::TensorOptions bytes = at::TensorOptions(at::kByte).device(options_.device);
  Plan plan{.inputs = inputs,
            .on_device = at::zeros({inputs.bytes()}, bytes),
            .arriving = at::zeros({inputs.bytes()}, bytes),
            .on_host = {host_bytes(inputs.bytes(), options_.device),
                        host_bytes(inputs.bytes(), options_.device)},
            .courier = make_courier(options_.device),
            .recording = nullptr};
  return plans_.emplace(sequences, std::move(plan)).first->second;
}

template <class T>
void Runner<T>::submit(std::span<const RunStep> steps) {
  Plan& plan = plan_for(steps[0].batch->sequences());
  const at::Tensor& host = plan.on_host[plan.submitted % 2];
  plan.courier->prepare();
  plan.inputs.fill(host, steps);
  plan.courier->submit(host, plan.arriving);
  plan.courier->wait();
  plan.on_device.copy_(plan.arriving, /*non_blocking=*/true);
  plan.courier->release();
  const bool usual = options_.record && plan.inputs.sequences() == spec_.batch_sequences;
  if (plan.recording)
    plan.recording->replay();
  else if (usual)
    plan.recording = record(options_.device, [&] { step(plan); });
  else
    step(plan);
  ++plan.submitted;
  receipts_.push_back(send_back(results_));
}

template <class T>
std::vector<StepResult> Runner<T>::take() {
  const std::unique_ptr<Receipt> receipt = std::move(receipts_.front());
  receipts_.pop_front();
  const auto* results = data<kernels::RunResult>(receipt->take());
  std::vector<StepResult> taken;
  for (std::int64_t k = 0; k < runs_; ++k)
    taken.push_back({.loss = results[k].loss,
                     .grad_norm = results[k].grad_norm,
                     .clip = results[k].clip,
                     .updated = results[k].updated != 0});
  return taken;
}

template <class T>
void Runner<T>::step(Plan& plan) {
  grads_.zero_();
  results_.zero_();
  void* base = plan.on_device.data_ptr();
  const double per_token = 1.0 / static_cast<double>(plan.inputs.sequences() * positions_);
  for (std::size_t p = 0; p < plan.inputs.pieces().size(); ++p) {
    const Piece& piece = plan.inputs.pieces()[p];
    const std::int64_t per_run = piece.count * positions_;
    const Place place{.rows = {.count = runs_ * per_run, .per_run = per_run},
                      .sequences = piece.count,
                      .first = piece.first,
                      .tokens = plan.inputs.tokens(base, p),
                      .targets = plan.inputs.targets(base, p),
                      .order = plan.inputs.order(base, p),
                      .inputs = spec_.dropout > 0 ? &plan.inputs : nullptr,
                      .weight = per_token};
    forward(place);
    classify(place);
    backward(place);
    launch(kernels::SumLosses{.rows = place.rows,
                              .weight = per_token,
                              .losses = data<double>(losses_),
                              .results = data<kernels::RunResult>(results_)});
  }
  const std::int64_t parts = kernels::square_parts(layout_.size());
  launch(kernels::SquareSums<T>{.runs = runs_,
                                .size = layout_.size(),
                                .parts = parts,
                                .grads = data<Real>(grads_),
                                .sums_out = data<double>(square_sums_)});
  launch(kernels::Decide{.runs = runs_,
                         .parts = parts,
                         .beta1 = spec_.beta1,
                         .beta2 = spec_.beta2,
                         .controls = plan.inputs.controls(base),
                         .square_sums = data<double>(square_sums_),
                         .updates = data<std::int64_t>(updates_),
                         .results = data<kernels::RunResult>(results_),
                         .factors = data<kernels::RunFactors>(factors_)});
  launch(kernels::AdamW<T>{.runs = runs_,
                           .size = layout_.size(),
                           .decayed = layout_.decayed(),
                           .beta1 = spec_.beta1,
                           .beta2 = spec_.beta2,
                           .eps = spec_.adam_eps,
                           .factors = data<kernels::RunFactors>(factors_),
                           .grads = data<Real>(grads_),
                           .values = data<Real>(values_),
                           .first = data<Real>(first_),
                           .second = data<Real>(second_),
                           .copy = copy_.is_same(values_) ? nullptr : data<T>(copy_)});
}

template <class T>
std::vector<double> Runner<T>::loss_sums(std::span<const TokenRows> rows) {
  const std::int64_t positions = rows[0].positions, at_once = max_rows_ / positions_;
  std::vector<double> all(static_cast<std::size_t>(runs_));
  for (std::int64_t first = 0; first < rows[0].sequences; first += at_once) {
    const std::int64_t count = std::min(at_once, rows[0].sequences - first);
    const std::int64_t per_run = count * positions;
    at::Tensor tokens = at::empty({2, runs_, per_run}, at::kLong);
    for (std::int64_t k = 0; k < runs_; ++k) {
      const TokenRows& of_run = rows[static_cast<std::size_t>(k)];
      auto* to = tokens.data_ptr<std::int64_t>() + k * per_run;
      std::copy_n(of_run.inputs + first * positions, per_run, to);
      std::copy_n(of_run.targets + first * positions, per_run, to + runs_ * per_run);
    }
    tokens = tokens.to(options_.device);
    const Place place{.rows = {.count = runs_ * per_run, .per_run = per_run},
                      .sequences = count,
                      .tokens = tokens.data_ptr<std::int64_t>(),
                      .targets = tokens.data_ptr<std::int64_t>() + runs_ * per_run};
    forward(place);
    classify(place);
    const at::Tensor sums =
        losses_.narrow(0, 0, place.rows.count).view({runs_, per_run}).sum(1).cpu();
    for (std::int64_t k = 0; k < runs_; ++k)
      all[static_cast<std::size_t>(k)] += sums.data_ptr<double>()[k];
  }
  return all;
}

// ---- pieces of a pass
// ----------------------------------------------------------------------------

template <class T>
kernels::Mask Runner<T>::mask(const Place& place, std::size_t layer, DropoutSite site) const {
  if (place.inputs == nullptr) return {};
  void* base = plans_.at(place.inputs->sequences()).on_device.data_ptr();
  return kernels::mask_of(place.inputs->keys(base, static_cast<std::int64_t>(layer), site),
                          spec_.dropout);
}

// out = a b for each run. One run takes the plain product, which libraries know best.
template <class T>
void Runner<T>::product(at::Tensor out, const at::Tensor& a, const at::Tensor& b) const {
  if (runs_ > 1) {
    at::bmm_out(out, a, b);
  } else {
    at::Tensor only = out.select(0, 0);
    at::mm_out(only, a.select(0, 0), b.select(0, 0));
  }
}

// grad += dy' x, summed in wide numbers.
template <class T>
void Runner<T>::weight_backward(const Matrix& matrix, const at::Tensor& dy, const at::Tensor& x) {
  const at::Tensor turned = dy.transpose(1, 2);
  if constexpr (std::is_same_v<T, Real>) {
    at::Tensor grad = matrix.grad;
    if (runs_ > 1)
      grad.baddbmm_(turned, x);
    else
      grad.select(0, 0).addmm_(turned.select(0, 0), x.select(0, 0));
  } else {
    const std::int64_t count = matrix.grad.numel() / runs_;
    const at::Tensor more = weight_scratch_.narrow(0, 0, runs_ * count).view(matrix.grad.sizes());
    product(more, turned, x);
    launch(kernels::Accumulate<T>{.runs = runs_,
                                  .count = count,
                                  .more = data<T>(more),
                                  .grad = data<Real>(matrix.grad),
                                  .stride = layout_.size()});
  }
}

template <class T>
void Runner<T>::bias_backward(const Place& place, const Matrix& matrix, const at::Tensor& dy) {
  if (matrix.bias_grad == nullptr) return;
  const kernels::Parts parts = kernels::parts_of(place.rows.per_run);
  const std::int64_t columns = dy.size(2);
  launch(kernels::ColumnSums<T>{.rows = place.rows,
                                .parts = parts,
                                .columns = columns,
                                .x = data<T>(dy),
                                .parts_out = data<Real>(gain_parts_)});
  launch(kernels::FoldParts<T>{.runs = runs_,
                               .parts = parts.count,
                               .columns = columns,
                               .sums = data<Real>(gain_parts_),
                               .grad = matrix.bias_grad,
                               .stride = layout_.size()});
}

// sum = x + branch_ with the bias of the product that made it; out = norm(sum).
template <class T>
void Runner<T>::add_norm(const Place& place,
                         const NormSlot& slot,
                         const at::Tensor& x,
                         const Matrix* branch,
                         const kernels::Mask& branch_mask,
                         const at::Tensor& sum,
                         const at::Tensor& out,
                         const at::Tensor& stats) {
  launch(kernels::AddNorm<T>{.rows = place.rows,
                             .norm = slot.norm,
                             .x = data<Real>(x),
                             .branch = branch == nullptr ? nullptr : data<T>(branch_),
                             .branch_bias = branch == nullptr ? nullptr : branch->bias,
                             .mask = branch_mask,
                             .first_element = first_element(place),
                             .sum = data<Real>(sum),
                             .out = data<T>(out),
                             .stats = data<Real>(stats)});
}

// From dnormed_ to dx_, and to dbranch_ what the branch below the norm sees of it.
template <class T>
void Runner<T>::norm_backward(const Place& place,
                              const NormSlot& slot,
                              const at::Tensor& x,
                              const at::Tensor& stats,
                              bool replace,
                              bool to_branch,
                              const kernels::Mask& branch_mask) {
  const kernels::Parts parts = kernels::parts_of(place.rows.per_run);
  launch(kernels::NormBackward<T>{
      .rows = place.rows,
      .parts = parts,
      .norm = slot.norm,
      .x = data<Real>(x),
      .stats = data<Real>(stats),
      .dout = data<T>(dnormed_),
      .replace = replace,
      .dx = data<Real>(dx_),
      .dbranch = to_branch ? data<T>(dbranch_) : nullptr,
      .mask = branch_mask,
      .first_element = first_element(place),
      .gain_parts = data<Real>(gain_parts_),
      .bias_parts = slot.bias_grad == nullptr ? nullptr : data<Real>(bias_parts_)});
  const auto fold = [&](const at::Tensor& sums, Real* grad) {
    launch(kernels::FoldParts<T>{.runs = runs_,
                                 .parts = parts.count,
                                 .columns = width_,
                                 .sums = data<Real>(sums),
                                 .grad = grad,
                                 .stride = layout_.size()});
  };
  fold(gain_parts_, slot.gain_grad);
  if (slot.bias_grad != nullptr) fold(bias_parts_, slot.bias_grad);
}

template <class T>
AttentionShape Runner<T>::attention_shape(const Place& place, std::size_t layer) const {
  const std::int64_t head_width = width_ / spec_.heads;
  return {.runs = runs_,
          .sequences = place.sequences,
          .positions = place.rows.per_run / place.sequences,
          .heads = spec_.heads,
          .head_width = head_width,
          .scale = 1 / std::sqrt(static_cast<double>(head_width)),
          .first_sequence = place.first,
          .mask = mask(place, layer, DropoutSite::attention_weights)};
}

template <class T>
kernels::Rotation<T> Runner<T>::rotation(const Work& work) const {
  return {.heads = spec_.heads,
          .head_width = width_ / spec_.heads,
          .sequence = positions_,
          .cosines = data<Real>(cosines_),
          .sines = data<Real>(sines_),
          .unit = spec_.qk_norm,
          .eps = static_cast<Real>(spec_.norm_eps),
          .inverses = data<Real>(work.inverses)};
}

template <class T>
kernels::MlpRows<T> Runner<T>::mlp(const Place& place, const Layer& layer) const {
  return {.rows = place.rows,
          .width = hidden_,
          .kind = activation_of(spec_.mlp),
          .bias = layer.up.bias,
          .stride = layout_.size()};
}

// ---- forward
// -------------------------------------------------------------------------------------

template <class T>
void Runner<T>::forward(const Place& place) {
  launch(kernels::Embed<T>{.rows = place.rows,
                           .width = width_,
                           .sequence = place.rows.per_run / place.sequences,
                           .tokens = place.tokens,
                           .table = data<Real>(embedding_.weight),
                           .positions = data<Real>(positions_table_.weight),
                           .stride = layout_.size(),
                           .mask = mask(place, 0, DropoutSite::embedding),
                           .first_element = first_element(place),
                           .x = data<Real>(layers_.empty() ? last_ : layers_[0].x)});
  for (std::size_t i = 0; i < layers_.size(); ++i) forward_layer(i, place, false);
  const std::size_t below = layers_.size() - 1;
  const bool bare = layers_.empty();
  add_norm(place,
           final_norm_,
           bare ? last_ : work(below).middle,
           bare ? nullptr : &layers_[below].down,
           bare ? kernels::Mask{} : mask(place, below, DropoutSite::mlp_branch),
           last_,
           final_normed_,
           final_stats_);
}

// With `again`, everything that the backward pass needs anew from layer.x.
template <class T>
void Runner<T>::forward_layer(std::size_t index, const Place& place, bool again) {
  Layer& layer = layers_[index];
  Work& own = work(index);
  const bool joins = index > 0 && !again;  // the branch of the layer below is still to be added
  add_norm(place,
           layer.norm1,
           joins ? work(index - 1).middle : layer.x,
           joins ? &layers_[index - 1].down : nullptr,
           joins ? mask(place, index - 1, DropoutSite::mlp_branch) : kernels::Mask{},
           layer.x,
           own.normed1,
           own.stats1);
  const at::Tensor projected = of_rows(own.projected, place.rows);
  product(projected, of_rows(own.normed1, place.rows), layer.qkv.weight.transpose(1, 2));
  kernels::Rotation<T> turn = rotation(own);
  turn.sequence = place.rows.per_run / place.sequences;
  if (rotates(layer))
    launch(kernels::Rotate<T>{.rows = place.rows,
                              .rotation = turn,
                              .bias = layer.qkv.bias,
                              .stride = layout_.size(),
                              .projected = data<T>(projected)});
  own.attended = attention_forward<T>(
      attention_, attention_shape(place, index), projected.view({place.rows.count, 3 * width_}));
  const at::Tensor mixed = own.attended.mixed.view({runs_, place.rows.per_run, width_});
  product(of_rows(branch_, place.rows), mixed, layer.out.weight.transpose(1, 2));
  add_norm(place,
           layer.norm2,
           layer.x,
           &layer.out,
           mask(place, index, DropoutSite::attention_branch),
           own.middle,
           own.normed2,
           own.stats2);
  product(of_rows(own.before, place.rows),
          of_rows(own.normed2, place.rows),
          layer.up.weight.transpose(1, 2));
  launch(kernels::Activate<T>{
      .mlp = mlp(place, layer), .before = data<T>(own.before), .out = data<T>(own.hidden)});
  if (!again)
    product(of_rows(branch_, place.rows),
            of_rows(own.hidden, place.rows),
            layer.down.weight.transpose(1, 2));
}

template <class T>
bool Runner<T>::rotates(const Layer& layer) const {
  return layer.qkv.bias != nullptr || spec_.qk_norm || cosines_.defined();
}

// Losses of all rows, and with a weight dnormed_ and the head's gradient: a few rows at a time, so
// that the logits of all rows never exist.
template <class T>
void Runner<T>::classify(const Place& place) {
  const at::Tensor normed = of_rows(final_normed_, place.rows);
  const at::Tensor dnormed = of_rows(dnormed_, place.rows);
  const std::int64_t stride = layout_.vocab_rows();
  for (std::int64_t first = 0; first < place.rows.per_run; first += chunk_) {
    const std::int64_t rows = std::min(chunk_, place.rows.per_run - first);
    const at::Tensor logits =
        logits_.narrow(0, 0, runs_ * rows * stride).view({runs_, rows, stride});
    const at::Tensor some = normed.narrow(1, first, rows);
    product(logits, some, head_.weight.transpose(1, 2));
    launch(kernels::Classify<T>{.rows = place.rows,
                                .chunk = rows,
                                .first = first,
                                .vocab = spec_.vocab,
                                .stride = stride,
                                .weight = place.weight,
                                .square_weight = spec_.z_loss,
                                .targets = place.targets,
                                .logits = data<T>(logits),
                                .losses = data<double>(losses_)});
    if (place.weight == 0) continue;
    product(dnormed.narrow(1, first, rows), logits, head_.weight);
    weight_backward(head_, logits, some);
  }
}

// ---- backward
// ------------------------------------------------------------------------------------

template <class T>
void Runner<T>::backward(const Place& place) {
  const bool bare = layers_.empty();
  norm_backward(place,
                final_norm_,
                last_,
                final_stats_,
                /*replace=*/true,
                /*to_branch=*/!bare,
                bare ? kernels::Mask{} : mask(place, layers_.size() - 1, DropoutSite::mlp_branch));
  for (std::size_t i = layers_.size(); i-- > 0;) backward_layer(i, place);
  launch(kernels::EmbedBackward<T>{.rows = place.rows,
                                   .width = width_,
                                   .tokens = place.tokens,
                                   .order = place.order,
                                   .mask = mask(place, 0, DropoutSite::embedding),
                                   .first_element = first_element(place),
                                   .dx = data<Real>(dx_),
                                   .grad = data<Real>(embedding_.grad),
                                   .stride = layout_.size()});
  if (positions_table_.exists())
    launch(kernels::PositionsBackward<T>{.rows = place.rows,
                                         .width = width_,
                                         .sequence = positions_,
                                         .dx = data<Real>(dx_),
                                         .grad = data<Real>(positions_table_.grad),
                                         .stride = layout_.size()});
}

// dx_ is the gradient behind the layer, dbranch_ the same as its MLP sees it.
template <class T>
void Runner<T>::backward_layer(std::size_t index, const Place& place) {
  if (options_.recompute && index + 1 < layers_.size()) forward_layer(index, place, true);
  Layer& layer = layers_[index];
  Work& own = work(index);
  const Rows& rows = place.rows;
  const at::Tensor dbranch = of_rows(dbranch_, rows), dnormed = of_rows(dnormed_, rows);

  bias_backward(place, layer.down, dbranch);
  weight_backward(layer.down, dbranch, of_rows(own.hidden, rows));
  product(of_rows(dhidden_, rows), dbranch, layer.down.weight);
  const at::Tensor before = of_rows(own.before, rows);
  launch(kernels::ActivateBackward<T>{
      .mlp = mlp(place, layer), .dout = data<T>(dhidden_), .before = data<T>(before)});
  bias_backward(place, layer.up, before);
  weight_backward(layer.up, before, of_rows(own.normed2, rows));
  product(dnormed, before, layer.up.weight);
  norm_backward(place,
                layer.norm2,
                own.middle,
                own.stats2,
                false,
                true,
                mask(place, index, DropoutSite::attention_branch));

  bias_backward(place, layer.out, dbranch);
  const at::Tensor mixed = own.attended.mixed.view({runs_, rows.per_run, width_});
  weight_backward(layer.out, dbranch, mixed);
  product(of_rows(dmixed_, rows), dbranch, layer.out.weight);
  const at::Tensor dprojected = of_rows(dprojected_, rows);
  attention_backward<T>(attention_,
                        attention_shape(place, index),
                        of_rows(own.projected, rows).view({rows.count, 3 * width_}),
                        own.attended,
                        of_rows(dmixed_, rows).view({rows.count, width_}),
                        dprojected.view({rows.count, 3 * width_}));
  if (spec_.qk_norm || cosines_.defined())
    launch(kernels::RotateBackward<T>{.rows = rows,
                                      .rotation = rotation(own),
                                      .projected = data<T>(own.projected),
                                      .dprojected = data<T>(dprojected)});
  bias_backward(place, layer.qkv, dprojected);
  weight_backward(layer.qkv, dprojected, of_rows(own.normed1, rows));
  product(dnormed, dprojected, layer.qkv.weight);
  norm_backward(place,
                layer.norm1,
                layer.x,
                own.stats1,
                false,
                index > 0,
                index > 0 ? mask(place, index - 1, DropoutSite::mlp_branch) : kernels::Mask{});
}

template class Runner<double>;
template class Runner<float>;
template class Runner<BFloat16>;

}  // namespace ration::train::device
