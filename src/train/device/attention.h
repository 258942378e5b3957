#pragma once

// Causal attention with its gradient, and the only place that calls private operators of LibTorch:
// fused where one exists that never stores a T x T matrix, else by batched products a few sequences
// at a time. Dropout of attention weights takes the second way: its masks are the trainer's own.

#include <ATen/core/Tensor.h>

#include "run/spec.h"
#include "train/kernels/softmax.h"

namespace ration::train::device {

// Which way a model takes: cuDNN's fused operators, the fused ones of LibTorch's own, products.
enum class AttentionKind { cudnn, fused, by_products };

struct AttentionShape {
  std::int64_t runs = 1, sequences = 1, positions = 1;  // sequences of each run
  std::int64_t heads = 1, head_width = 1;
  double scale = 1;
  std::int64_t first_sequence = 0;  // of the run's step, for the masks
  kernels::Mask mask;
};

// What the forward pass leaves behind.
struct Attended {
  at::Tensor mixed;                               // [rows,C]
  at::Tensor log_sums;                            // fused ways only
  at::Tensor seed, offset, query_ends, key_ends;  // of fused operators on a GPU, unused numbers
};

// The fastest way that exists for activations of this type, on this device, for this model. cuDNN's
// is tried on one sequence, for what it can do depends on its version and the GPU.
AttentionKind fastest_attention(const at::Device& device,
                                at::ScalarType type,
                                const run::RunSpec& spec);

// projected: [rows,3,H,D] as the kernels Rotate leaves it.
template <class T>
Attended attention_forward(AttentionKind kind,
                           const AttentionShape& shape,
                           const at::Tensor& projected);

// Writes all of dprojected [rows,3,H,D]. `dmixed` [rows,C].
template <class T>
void attention_backward(AttentionKind kind,
                        const AttentionShape& shape,
                        const at::Tensor& projected,
                        const Attended& attended,
                        const at::Tensor& dmixed,
                        const at::Tensor& dprojected);

}  // namespace ration::train::device
