#pragma once

// What attention does to single queries and keys, and to a row of its scores. For the kernels of
// this folder: each is compiled into what calls it, for the processor that it is meant for.

#include <algorithm>
#include <cmath>

#include "train/cpu/attention.h"
#include "train/cpu/exponential.h"

namespace ration::train::cpu {

// (a, b) -> (a cos - b sin, b cos + a sin) on the halves of one head vector; back with -1.
template <class Real>
[[gnu::always_inline]] inline void rotate(const Attention<Real>& a,
                                          std::int64_t t,
                                          Real direction,
                                          Real* vector) {
  const std::int64_t half = a.head_width / 2;
  const Real* cosines = a.cosines + t * half;
  const Real* sines = a.sines + t * half;
  for (std::int64_t j = 0; j < half; ++j) {
    const Real left = vector[j], right = vector[j + half];
    vector[j] = left * cosines[j] - right * direction * sines[j];
    vector[j + half] = right * cosines[j] + left * direction * sines[j];
  }
}

template <class Real>
[[gnu::always_inline]] inline Real inverse_rms(const Attention<Real>& a, const Real* vector) {
  Real square = 0;
  for (std::int64_t c = 0; c < a.head_width; ++c) square += vector[c] * vector[c];
  return 1 / std::sqrt(square / static_cast<Real>(a.head_width) + a.eps);
}

// One query or key as attention sees it: normed, rotated, scaled.
template <class Real>
[[gnu::always_inline]] inline void prepare_vector(
    const Attention<Real>& a, std::int64_t t, Real scale, const Real* in, Real* out) {
  const Real factor = a.unit_query_key ? scale * inverse_rms(a, in) : scale;
  for (std::int64_t c = 0; c < a.head_width; ++c) out[c] = in[c] * factor;
  if (a.cosines != nullptr) rotate(a, t, Real(1), out);
}

// Scores of one row to weights; columns behind t become zero. Returns the row's logsumexp.
template <class Real>
[[gnu::always_inline]] inline Real softmax_row(std::int64_t t, std::int64_t columns, Real* row) {
  const Real largest = largest_of(row, t + 1);
  Real sum = 0;
  for (std::int64_t j = 0; j <= t; ++j) {
    row[j] = exponential(row[j] - largest);
    sum += row[j];
  }
  const Real inverse = 1 / sum;
  for (std::int64_t j = 0; j <= t; ++j) row[j] *= inverse;
  for (std::int64_t j = t + 1; j < columns; ++j) row[j] = 0;
  return largest + std::log(sum);
}

}  // namespace ration::train::cpu
