#include "train/device/attention.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <tuple>

#include "train/device/backend.h"
#include "train/device/numbers.h"

namespace ration::train::device {
namespace {

constexpr std::int64_t kScoreBytes = std::int64_t{256} << 20;  // of T x T matrices held at once

// [sequences of all runs,H,T,D]: queries, keys or values of `projected`, or their gradients.
at::Tensor heads_of(const AttentionShape& a, const at::Tensor& projected, std::int64_t which) {
  return projected.view({a.runs * a.sequences, a.positions, 3, a.heads, a.head_width})
      .select(2, which)
      .transpose(1, 2);
}

// The same of [rows,C].
at::Tensor heads_of(const AttentionShape& a, const at::Tensor& mixed) {
  return mixed.view({a.runs * a.sequences, a.positions, a.heads, a.head_width}).transpose(1, 2);
}

Attended fused_forward(AttentionKind kind, const AttentionShape& a, const at::Tensor& projected) {
  const at::Tensor q = heads_of(a, projected, 0), k = heads_of(a, projected, 1),
                   v = heads_of(a, projected, 2);
  Attended result;
  at::Tensor out;
  if (kind == AttentionKind::cudnn) {
    auto all = at::_scaled_dot_product_cudnn_attention(q,
                                                       k,
                                                       v,
                                                       /*attn_bias=*/{},
                                                       /*compute_log_sumexp=*/true,
                                                       0.0,
                                                       /*is_causal=*/true,
                                                       /*return_debug_mask=*/false,
                                                       a.scale);
    out = std::get<0>(all), result.log_sums = std::get<1>(all);
    result.query_ends = std::get<2>(all), result.key_ends = std::get<3>(all);
    result.seed = std::get<6>(all), result.offset = std::get<7>(all);
  } else if (projected.is_cuda()) {
    auto all = at::_scaled_dot_product_flash_attention(
        q, k, v, 0.0, /*is_causal=*/true, /*return_debug_mask=*/false, a.scale);
    out = std::get<0>(all), result.log_sums = std::get<1>(all);
    result.query_ends = std::get<2>(all), result.key_ends = std::get<3>(all);
    result.seed = std::get<6>(all), result.offset = std::get<7>(all);
  } else {
    std::tie(out, result.log_sums) = at::_scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, /*is_causal=*/true, /*attn_mask=*/{}, a.scale);
  }
  result.mixed = out.transpose(1, 2).reshape({projected.size(0), a.heads * a.head_width});
  return result;
}

// cuDNN's gradient adds in an order that changes. Where results must repeat, LibTorch's own takes
// its place: both forward passes leave the same logarithms of sums.
bool takes_cudnn_gradient(AttentionKind kind) {
  return kind == AttentionKind::cudnn && !at::globalContext().deterministicAlgorithms();
}

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

Gradients fused_gradients(AttentionKind kind,
                          const AttentionShape& a,
                          const at::Tensor& projected,
                          const Attended& attended,
                          const at::Tensor& dmixed) {
  const at::Tensor q = heads_of(a, projected, 0), k = heads_of(a, projected, 1),
                   v = heads_of(a, projected, 2);
  const at::Tensor out = heads_of(a, attended.mixed), dout = heads_of(a, dmixed);
  if (takes_cudnn_gradient(kind))
    return at::_scaled_dot_product_cudnn_attention_backward(dout,
                                                            q,
                                                            k,
                                                            v,
                                                            out,
                                                            attended.log_sums,
                                                            attended.seed,
                                                            attended.offset,
                                                            /*attn_bias=*/{},
                                                            attended.query_ends,
                                                            attended.key_ends,
                                                            a.positions,
                                                            a.positions,
                                                            0.0,
                                                            /*is_causal=*/true,
                                                            a.scale);
  if (projected.is_cuda())
    return at::_scaled_dot_product_flash_attention_backward(
        dout,
        q,
        k,
        v,
        out,
        attended.log_sums.view({q.size(0), q.size(1), q.size(2)}),
        attended.query_ends,
        attended.key_ends,
        a.positions,
        a.positions,
        0.0,
        /*is_causal=*/true,
        attended.seed,
        attended.offset,
        a.scale);
  return at::_scaled_dot_product_flash_attention_for_cpu_backward(dout,
                                                                  q,
                                                                  k,
                                                                  v,
                                                                  out,
                                                                  attended.log_sums,
                                                                  0.0,
                                                                  /*is_causal=*/true,
                                                                  /*attn_mask=*/{},
                                                                  a.scale);
}

template <class T>
void fused_backward(AttentionKind kind,
                    const AttentionShape& a,
                    const at::Tensor& projected,
                    const Attended& attended,
                    const at::Tensor& dmixed,
                    const at::Tensor& dprojected) {
  const Gradients all = fused_gradients(kind, a, projected, attended, dmixed);
  const auto rows = [](const at::Tensor& heads) { return heads.transpose(1, 2).contiguous(); };
  const at::Tensor dq = rows(std::get<0>(all)), dk = rows(std::get<1>(all)),
                   dv = rows(std::get<2>(all));
  kernels_of<T>(projected.device())(kernels::Join<T>{.rows = projected.size(0),
                                                     .width = a.heads * a.head_width,
                                                     .queries = data<T>(dq),
                                                     .keys = data<T>(dk),
                                                     .values = data<T>(dv),
                                                     .joined = data<T>(dprojected)},
                                    stream_of(projected.device()));
}

// Calls body(first sequence, scores kernel's shape, [n,T,T] buffer) for a few sequences at a time.
template <class T, class Body>
void in_chunks(const AttentionShape& a, const at::Tensor& like, const Body& body) {
  const std::int64_t all = a.runs * a.sequences;
  const std::int64_t bytes =
      a.heads * a.positions * a.positions * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t at_once = std::clamp<std::int64_t>(kScoreBytes / bytes, 1, all);
  const at::Tensor buffer =
      at::empty({at_once * a.heads, a.positions, a.positions}, like.options());
  for (std::int64_t first = 0; first < all; first += at_once) {
    const std::int64_t count = std::min(at_once, all - first);
    const kernels::Scores shape{.items = count * a.heads,
                                .first_item = first * a.heads,
                                .items_per_run = a.sequences * a.heads,
                                .first_of_run = a.first_sequence * a.heads,
                                .positions = a.positions,
                                .scale = a.scale,
                                .mask = a.mask};
    body(first, count, shape, buffer.narrow(0, 0, count * a.heads));
  }
}

// Sequences first … first+count-1 as a batch of matrices [count*H,T,D].
at::Tensor matrices(const AttentionShape& a,
                    const at::Tensor& heads,
                    std::int64_t first,
                    std::int64_t count) {
  return heads.narrow(0, first, count).reshape({count * a.heads, a.positions, a.head_width});
}

// Back to where they came from.
void put(const AttentionShape& a,
         const at::Tensor& matrices,
         const at::Tensor& heads,
         std::int64_t first,
         std::int64_t count) {
  heads.narrow(0, first, count).copy_(matrices.view({count, a.heads, a.positions, a.head_width}));
}

// Weights of the chunk into `scores`; returns those with dropout.
template <class T>
at::Tensor weights_of(const AttentionShape& a,
                      const kernels::Scores& shape,
                      const at::Tensor& q,
                      const at::Tensor& k,
                      at::Tensor scores) {
  at::bmm_out(scores, q, k.transpose(1, 2));
  const at::Tensor dropped = a.mask.active() ? at::empty_like(scores) : scores;
  kernels_of<T>(q.device())(
      kernels::Attend<T>{.shape = shape,
                         .scores = data<T>(scores),
                         .dropped = a.mask.active() ? data<T>(dropped) : nullptr},
      stream_of(q.device()));
  return dropped;
}

template <class T>
Attended forward_by_products(const AttentionShape& a, const at::Tensor& projected) {
  Attended result;
  result.mixed = at::empty({projected.size(0), a.heads * a.head_width}, projected.options());
  const at::Tensor out = heads_of(a, result.mixed);
  in_chunks<T>(a,
               projected,
               [&](std::int64_t first, std::int64_t count, const auto& shape, const auto& scores) {
                 const auto part = [&](std::int64_t which) {
                   return matrices(a, heads_of(a, projected, which), first, count);
                 };
                 const at::Tensor weights = weights_of<T>(a, shape, part(0), part(1), scores);
                 put(a, at::bmm(weights, part(2)), out, first, count);
               });
  return result;
}

template <class T>
void backward_by_products(const AttentionShape& a,
                          const at::Tensor& projected,
                          const at::Tensor& dmixed,
                          const at::Tensor& dprojected) {
  in_chunks<T>(
      a,
      projected,
      [&](std::int64_t first, std::int64_t count, const auto& shape, const auto& scores) {
        const auto part = [&](std::int64_t which) {
          return matrices(a, heads_of(a, projected, which), first, count);
        };
        const at::Tensor q = part(0), k = part(1), v = part(2);
        const at::Tensor dout = matrices(a, heads_of(a, dmixed), first, count);
        const at::Tensor dropped = weights_of<T>(a, shape, q, k, scores);
        put(a, at::bmm(dropped.transpose(1, 2), dout), heads_of(a, dprojected, 2), first, count);
        const at::Tensor grads = at::bmm(dout, v.transpose(1, 2));
        kernels_of<T>(q.device())(
            kernels::AttendBackward<T>{
                .shape = shape, .weights = data<T>(scores), .grads = data<T>(grads)},
            stream_of(q.device()));
        put(a, at::bmm(grads, k), heads_of(a, dprojected, 0), first, count);
        put(a, at::bmm(grads.transpose(1, 2), q), heads_of(a, dprojected, 1), first, count);
      });
}

// Whether cuDNN computes attention of this model, forward and backward.
bool takes_cudnn(const at::Device& device, const run::RunSpec& spec) {
  const AttentionShape one{
      .positions = spec.context, .heads = spec.heads, .head_width = spec.width / spec.heads};
  const at::TensorOptions options = at::TensorOptions(at::kBFloat16).device(device);
  const at::Tensor projected = at::zeros({one.positions, 3 * spec.width}, options);
  const at::Tensor gradient = at::zeros({one.positions, spec.width}, options);
  try {
    const Attended attended = fused_forward(AttentionKind::cudnn, one, projected);
    fused_gradients(AttentionKind::cudnn, one, projected, attended, gradient);
    return true;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    return false;
  }
}

}  // namespace

AttentionKind fastest_attention(const at::Device& device,
                                at::ScalarType type,
                                const run::RunSpec& spec) {
  if (spec.dropout > 0) return AttentionKind::by_products;
  if (!device.is_cuda()) return AttentionKind::fused;
  const std::int64_t head_width = spec.width / spec.heads;
  if (type != at::kBFloat16 || head_width % 8 != 0 || head_width > 256)
    return AttentionKind::by_products;
  return takes_cudnn(device, spec) ? AttentionKind::cudnn : AttentionKind::fused;
}

template <class T>
Attended attention_forward(AttentionKind kind,
                           const AttentionShape& shape,
                           const at::Tensor& projected) {
  return kind == AttentionKind::by_products ? forward_by_products<T>(shape, projected)
                                            : fused_forward(kind, shape, projected);
}

template <class T>
void attention_backward(AttentionKind kind,
                        const AttentionShape& shape,
                        const at::Tensor& projected,
                        const Attended& attended,
                        const at::Tensor& dmixed,
                        const at::Tensor& dprojected) {
  if (kind == AttentionKind::by_products)
    backward_by_products<T>(shape, projected, dmixed, dprojected);
  else
    fused_backward<T>(kind, shape, projected, attended, dmixed, dprojected);
}

template Attended attention_forward<double>(AttentionKind,
                                            const AttentionShape&,
                                            const at::Tensor&);
template Attended attention_forward<float>(AttentionKind, const AttentionShape&, const at::Tensor&);
template Attended attention_forward<kernels::BFloat16>(AttentionKind,
                                                       const AttentionShape&,
                                                       const at::Tensor&);
template void attention_backward<double>(AttentionKind,
                                         const AttentionShape&,
                                         const at::Tensor&,
                                         const Attended&,
                                         const at::Tensor&,
                                         const at::Tensor&);
template void attention_backward<float>(AttentionKind,
                                        const AttentionShape&,
                                        const at::Tensor&,
                                        const Attended&,
                                        const at::Tensor&,
                                        const at::Tensor&);
template void attention_backward<kernels::BFloat16>(AttentionKind,
                                                    const AttentionShape&,
                                                    const at::Tensor&,
                                                    const Attended&,
                                                    const at::Tensor&,
                                                    const at::Tensor&);

}  // namespace ration::train::device
