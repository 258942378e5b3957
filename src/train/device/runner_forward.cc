// The forward pass, the classifier, and what the backward pass shares with them.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/device/runner.h"

namespace ration::train::device {
namespace {

kernels::Activation activation_of(const std::string& mlp) {
  if (mlp == "swiglu") return kernels::Activation::swiglu;
  if (mlp == "relu2") return kernels::Activation::relu2;
  return mlp == "gelu_tanh" ? kernels::Activation::gelu_tanh : kernels::Activation::gelu_erf;
}

}  // namespace

using kernels::BFloat16;

template <class T>
kernels::Mask Runner<T>::mask(const Place& place, std::size_t layer, DropoutSite site) const {
  if (place.plan == nullptr) return {};
  void* base = place.plan->on_device.data_ptr();
  return kernels::mask_of(place.plan->inputs.keys(base, static_cast<std::int64_t>(layer), site),
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

// grad += dy' x, summed in wide numbers: by the product itself where the device's can.
template <class T>
void Runner<T>::weight_backward(const Matrix& matrix, const at::Tensor& dy, const at::Tensor& x) {
  const at::Tensor turned = dy.transpose(1, 2);
  if constexpr (std::is_same_v<T, Real>) {
    at::Tensor grad = matrix.grad;
    if (runs_ > 1)
      grad.baddbmm_(turned, x);
    else
      grad.select(0, 0).addmm_(turned.select(0, 0), x.select(0, 0));
  } else if (sums_in_wide()) {
    at::Tensor grad = runs_ > 1 ? matrix.grad : matrix.grad.select(0, 0);
    if (runs_ > 1)
      at::baddbmm_out(grad, grad, turned, x, scalar_type<Real>());
    else
      at::addmm_out(grad, grad, turned.select(0, 0), x.select(0, 0), scalar_type<Real>());
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

template <class T>
AttentionShape Runner<T>::attention_shape(const Place& place, std::size_t layer) const {
  const std::int64_t head_width = width_ / spec_.heads;
  return {.runs = runs_,
          .sequences = place.sequences,
          .positions = place.rows.per_run / place.sequences,
          .heads = spec_.heads,
          .head_width = head_width,
          .scale = rule_.attention_scale,
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
  scale_logits(of_rows(final_normed_, place.rows));
}

// On what the head multiplies, which is less than the logits themselves.
template <class T>
void Runner<T>::scale_logits(const at::Tensor& rows) const {
  if (rule_.logit_scale != 1) rows.mul_(rule_.logit_scale);
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

template void Runner<double>::forward(const Place&);
template void Runner<double>::forward_layer(std::size_t, const Place&, bool);
template void Runner<double>::classify(const Place&);
template void Runner<double>::scale_logits(const at::Tensor&) const;
template bool Runner<double>::rotates(const Layer&) const;
template kernels::Mask Runner<double>::mask(const Place&, std::size_t, DropoutSite) const;
template void Runner<double>::product(at::Tensor, const at::Tensor&, const at::Tensor&) const;
template void Runner<double>::weight_backward(const Matrix&, const at::Tensor&, const at::Tensor&);
template AttentionShape Runner<double>::attention_shape(const Place&, std::size_t) const;
template kernels::Rotation<double> Runner<double>::rotation(const Work&) const;
template kernels::MlpRows<double> Runner<double>::mlp(const Place&, const Layer&) const;
template void Runner<float>::forward(const Place&);
template void Runner<float>::forward_layer(std::size_t, const Place&, bool);
template void Runner<float>::classify(const Place&);
template void Runner<float>::scale_logits(const at::Tensor&) const;
template bool Runner<float>::rotates(const Layer&) const;
template kernels::Mask Runner<float>::mask(const Place&, std::size_t, DropoutSite) const;
template void Runner<float>::product(at::Tensor, const at::Tensor&, const at::Tensor&) const;
template void Runner<float>::weight_backward(const Matrix&, const at::Tensor&, const at::Tensor&);
template AttentionShape Runner<float>::attention_shape(const Place&, std::size_t) const;
template kernels::Rotation<float> Runner<float>::rotation(const Work&) const;
template kernels::MlpRows<float> Runner<float>::mlp(const Place&, const Layer&) const;
template void Runner<BFloat16>::forward(const Place&);
template void Runner<BFloat16>::forward_layer(std::size_t, const Place&, bool);
template void Runner<BFloat16>::classify(const Place&);
template void Runner<BFloat16>::scale_logits(const at::Tensor&) const;
template bool Runner<BFloat16>::rotates(const Layer&) const;
template kernels::Mask Runner<BFloat16>::mask(const Place&, std::size_t, DropoutSite) const;
template void Runner<BFloat16>::product(at::Tensor, const at::Tensor&, const at::Tensor&) const;
template void Runner<BFloat16>::weight_backward(const Matrix&,
                                                const at::Tensor&,
                                                const at::Tensor&);
template AttentionShape Runner<BFloat16>::attention_shape(const Place&, std::size_t) const;
template kernels::Rotation<BFloat16> Runner<BFloat16>::rotation(const Work&) const;
template kernels::MlpRows<BFloat16> Runner<BFloat16>::mlp(const Place&, const Layer&) const;

}  // namespace ration::train::device
