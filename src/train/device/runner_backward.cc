// The backward pass.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/device/runner.h"

namespace ration::train::device {

using kernels::BFloat16;
using kernels::Rows;

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
void Runner<T>::backward(const Place& place) {
  const bool bare = layers_.empty();
  scale_logits(of_rows(dnormed_, place.rows));
  norm_backward(place,
                final_norm_,
                last_,
                final_stats_,
                /*replace=*/true,
                /*to_branch=*/!bare,
                bare ? kernels::Mask{} : mask(place, layers_.size() - 1, DropoutSite::mlp_branch));
  if (spec_.tune == "head") return;  // nothing below changes
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

template void Runner<double>::backward(const Place&);
template void Runner<float>::backward(const Place&);
template void Runner<BFloat16>::backward(const Place&);

}  // namespace ration::train::device
