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

// Of each run, by this process.
std::int64_t sequences_at_once(const run::RunSpec& spec, const DeviceOptions& options) {
  const std::int64_t processes = options.group == nullptr ? 1 : options.group->size();
  const std::int64_t own = (spec.batch_sequences + processes - 1) / processes;
  return options.micro_batch > 0 ? std::min(options.micro_batch, own) : own;
}

}  // namespace

// Set-up: the buffers of a set of runs, and their weights in and out.

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
      max_rows_(sequences_at_once(spec_, options) * spec_.context),
      rule_(spec_),
      attention_(options.fused_attention
                     ? fastest_attention(options.device, scalar_type<T>(), spec_)
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
  const std::int64_t row_bytes = layout_.vocab_rows() * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t most =
      std::clamp<std::int64_t>(kLogitBytes / (runs_ * row_bytes), 1, max_rows_);
  chunk_ = kernels::ceil_div(max_rows_, kernels::ceil_div(max_rows_, most));  // of equal size
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
  if (narrow != wide && !sums_in_wide()) {
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

template class Runner<double>;
template class Runner<float>;
template class Runner<BFloat16>;

}  // namespace ration::train::device
