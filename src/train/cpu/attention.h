#pragma once

// Causal attention of one head of one sequence at a time: small enough to stay in the cache, and
// never a [T,T] matrix in memory. Shapes: B sequences, T positions, H heads of width D, C = H D;
// qkv [B T, 3C] holds queries, keys and values side by side, head h in columns h D … of each third.

#include <cstdint>

#include "train/cpu/rows.h"

namespace ration::train::cpu {

template <class Real>
struct Attention {
  std::int64_t positions = 0;  // T
  std::int64_t heads = 0;
  std::int64_t head_width = 0;    // D, even when rotary
  Real scale = 0;                 // of q k'; the usual one is 1/sqrt(D)
  bool unit_query_key = false;    // RMSNorm without gain on queries and keys
  Real eps = 0;                   // of that norm
  const Real* cosines = nullptr;  // [T, D/2], or none: no rotary positions
  const Real* sines = nullptr;
  Mask mask;                        // on the weights [B,H,T,T] of the whole batch
  std::int64_t first_sequence = 0;  // of the buffers within the batch
};

// Scratch memory that one thread needs, in numbers.
template <class Real>
std::int64_t attention_scratch(const Attention<Real>& attention);

// out [B T, C] = softmax(scale q k') v for items of the B H heads; log_sums [B,H,T] receives
// each row's logsumexp.
template <class Real>
void attention_forward(Range items,
                       const Attention<Real>& attention,
                       const Real* qkv,
                       Real* out,
                       Real* log_sums,
                       Real* scratch);

// dqkv from dout; every element of the items' columns is written.
template <class Real>
void attention_backward(Range items,
                        const Attention<Real>& attention,
                        const Real* qkv,
                        const Real* log_sums,
                        const Real* dout,
                        Real* dqkv,
                        Real* scratch);

}  // namespace ration::train::cpu
