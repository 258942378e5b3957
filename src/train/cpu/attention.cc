#include "train/cpu/attention.h"

#include <algorithm>
#include <cmath>

#include "train/cpu/exponential.h"
#include "train/cpu/head_vectors.h"
#include "train/cpu/processor.h"
#include "train/cpu/product.h"

namespace ration::train::cpu {
namespace {

constexpr std::int64_t kTile = 16;  // rows of the attention matrix that are held at once

// The scratch of one head. Rows are padded to whole vectors and padding stays zero, so that
// products run over whole vectors; T' and D' are the padded extents. T' is an odd number of cache
// lines: with a power of two, the elements of a column would fall into the same few places of the
// cache.
template <class Real>
struct Head {
  std::int64_t wide;    // T'
  std::int64_t deep;    // D'
  Real* query;          // [T,D'] after norm, rotation and scaling
  Real* key;            // [T,D']
  Real* key_columns;    // [D,T']
  Real* value;          // [T,D']
  Real* value_columns;  // [D,T']
  Real* weights;        // [tile,T']
  Real* weight_grads;   // [tile,T']
  Real* kept;           // [tile,T'] dropout factors
  Real* out;            // [tile,D'] output, or its gradient
  Real* query_grad;     // [T,D']
  Real* key_grad;       // [T,D']
  Real* value_grad;     // [T,D']

  static std::int64_t padded(std::int64_t positions) {
    return rounded_up<Real>(positions) | Lanes<Real>::kCount;
  }

  static std::int64_t numbers(const Attention<Real>& a) {
    const std::int64_t wide = padded(a.positions), deep = rounded_up<Real>(a.head_width);
    return 6 * a.positions * deep + 2 * a.head_width * wide + kTile * (3 * wide + deep);
  }

  Head(const Attention<Real>& a, Real* scratch)
      : wide(padded(a.positions)), deep(rounded_up<Real>(a.head_width)) {
    const auto take = [&](std::int64_t n) {
      Real* taken = scratch;
      scratch += n;
      return taken;
    };
    const std::int64_t rows = a.positions * deep, columns = a.head_width * wide;
    query = take(rows), key = take(rows), value = take(rows);
    query_grad = take(rows), key_grad = take(rows), value_grad = take(rows);
    key_columns = take(columns), value_columns = take(columns);
    weights = take(kTile * wide), weight_grads = take(kTile * wide), kept = take(kTile * wide);
    out = take(kTile * deep);
  }
};

// Where item i = b H + h stands.
template <class Real>
struct Place {
  std::int64_t first_row;  // of its sequence
  std::int64_t column;     // of its head

  Place(const Attention<Real>& a, std::int64_t item)
      : first_row(item / a.heads * a.positions), column(item % a.heads * a.head_width) {}
};

// The gradient by the stored query or key out of that by the prepared one.
template <class Real>
[[gnu::always_inline]] inline void unprepare_gradient(
    const Attention<Real>& a, std::int64_t t, Real scale, const Real* in, Real* grad, Real* out) {
  if (a.cosines != nullptr) rotate(a, t, Real(-1), grad);
  if (!a.unit_query_key) {
    for (std::int64_t c = 0; c < a.head_width; ++c) out[c] = scale * grad[c];
    return;
  }
  const Real inverse = inverse_rms(a, in);
  Real dot = 0;
  for (std::int64_t c = 0; c < a.head_width; ++c) dot += in[c] * grad[c];
  dot *= inverse * inverse / static_cast<Real>(a.head_width);
  for (std::int64_t c = 0; c < a.head_width; ++c)
    out[c] = scale * inverse * (grad[c] - in[c] * dot);
}

template <class Real>
[[gnu::always_inline]] inline void load_head(const Attention<Real>& a,
                                             const Place<Real>& place,
                                             const Real* qkv,
                                             const Head<Real>& head) {
  const std::int64_t model = a.heads * a.head_width;
  for (std::int64_t t = 0; t < a.positions; ++t) {
    const Real* row = qkv + (place.first_row + t) * 3 * model + place.column;
    prepare_vector(a, t, a.scale, row, head.query + t * head.deep);
    prepare_vector(a, t, Real(1), row + model, head.key + t * head.deep);
    std::copy_n(row + 2 * model, a.head_width, head.value + t * head.deep);
    for (std::int64_t c = 0; c < a.head_width; ++c) {
      head.key_columns[c * head.wide + t] = head.key[t * head.deep + c];
      head.value_columns[c * head.wide + t] = row[2 * model + c];
    }
  }
}

// Rows [first, first + rows) of the scores q k', columns 0 … first + rows - 1.
template <class Real>
void scores(const Attention<Real>& a,
            const Head<Real>& head,
            std::int64_t first,
            std::int64_t rows) {
  product<Real>(rows,
                rounded_up<Real>(first + rows),
                a.head_width,
                {head.query + first * head.deep, head.deep, 1},
                {head.key_columns, head.wide},
                {head.weights, head.wide},
                Store::replace);
}

// Dropout factors of row t of an item's weights, columns 0 … t.
template <class Real>
void row_factors(const Attention<Real>& a, std::int64_t item, std::int64_t t, Real* factors) {
  const std::int64_t whole_item = a.first_sequence * a.heads + item;
  const auto first = static_cast<std::uint64_t>((whole_item * a.positions + t) * a.positions);
  mask_factors(a.mask, first, t + 1, factors);
}

template <class Real>
void forward_tile(const Attention<Real>& a,
                  std::int64_t item,
                  const Head<Real>& head,
                  std::int64_t first,
                  Real* out,
                  Real* log_sums) {
  const std::int64_t rows = std::min(kTile, a.positions - first);
  const std::int64_t columns = first + rows;
  scores(a, head, first, rows);
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t r = 0; r < rows; ++r)
      log_sums[item * a.positions + first + r] =
          softmax_row(first + r, columns, head.weights + r * head.wide);
  });
  if (a.mask.active())
    for (std::int64_t r = 0; r < rows; ++r) {
      Real* weights = head.weights + r * head.wide;
      row_factors(a, item, first + r, head.kept);
      for (std::int64_t j = 0; j <= first + r; ++j) weights[j] *= head.kept[j];
    }
  product<Real>(rows,
                head.deep,
                columns,
                {head.weights, head.wide, 1},
                {head.value, head.deep},
                {head.out, head.deep},
                Store::replace);
  const Place<Real> place(a, item);
  const std::int64_t model = a.heads * a.head_width;
  for (std::int64_t r = 0; r < rows; ++r)
    std::copy_n(head.out + r * head.deep,
                a.head_width,
                out + (place.first_row + first + r) * model + place.column);
}

// Weights of the tile again, from its scores and their stored logsumexp.
template <class Real>
void recompute_weights(const Attention<Real>& a,
                       std::int64_t item,
                       const Head<Real>& head,
                       std::int64_t first,
                       std::int64_t rows,
                       const Real* log_sums) {
  scores(a, head, first, rows);
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t r = 0; r < rows; ++r) {
      Real* row = head.weights + r * head.wide;
      const std::int64_t t = first + r;
      const Real log_sum = log_sums[item * a.positions + t];
      for (std::int64_t j = 0; j <= t; ++j) row[j] = exponential(row[j] - log_sum);
      for (std::int64_t j = t + 1; j < first + rows; ++j) row[j] = 0;
    }
  });
}

// weight_grads becomes the gradient by the scores: p (g - sum p g). With dropout, g and the weights
// that multiply the values carry the factors.
template <class Real>
void softmax_backward(const Attention<Real>& a,
                      std::int64_t item,
                      const Head<Real>& head,
                      std::int64_t first,
                      std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    Real* p = head.weights + r * head.wide;
    Real* g = head.weight_grads + r * head.wide;
    Real* kept = head.kept + r * head.wide;
    const std::int64_t t = first + r;
    if (a.mask.active()) {
      row_factors(a, item, t, kept);
      for (std::int64_t j = 0; j <= t; ++j) g[j] *= kept[j];
    }
    on_best_processor([=]() __attribute__((always_inline)) {
      Real dot = 0;
      for (std::int64_t j = 0; j <= t; ++j) dot += p[j] * g[j];
      for (std::int64_t j = 0; j <= t; ++j) g[j] = p[j] * (g[j] - dot);
      for (std::int64_t j = t + 1; j < first + rows; ++j) g[j] = 0;
    });
    if (a.mask.active())
      for (std::int64_t j = 0; j <= t; ++j) p[j] *= kept[j];
  }
}

template <class Real>
void backward_tile(const Attention<Real>& a,
                   std::int64_t item,
                   const Head<Real>& head,
                   std::int64_t first,
                   const Real* log_sums,
                   const Real* dout) {
  const std::int64_t rows = std::min(kTile, a.positions - first);
  const std::int64_t columns = first + rows;
  const Place<Real> place(a, item);
  const std::int64_t model = a.heads * a.head_width;
  for (std::int64_t r = 0; r < rows; ++r)
    std::copy_n(dout + (place.first_row + first + r) * model + place.column,
                a.head_width,
                head.out + r * head.deep);
  recompute_weights(a, item, head, first, rows, log_sums);
  product<Real>(rows,
                rounded_up<Real>(columns),
                a.head_width,
                {head.out, head.deep, 1},
                {head.value_columns, head.wide},
                {head.weight_grads, head.wide},
                Store::replace);
  softmax_backward(a, item, head, first, rows);
  product<Real>(columns,
                head.deep,
                rows,
                {head.weights, 1, head.wide},
                {head.out, head.deep},
                {head.value_grad, head.deep},
                Store::add);
  product<Real>(columns,
                head.deep,
                rows,
                {head.weight_grads, 1, head.wide},
                {head.query + first * head.deep, head.deep},
                {head.key_grad, head.deep},
                Store::add);
  product<Real>(rows,
                head.deep,
                columns,
                {head.weight_grads, head.wide, 1},
                {head.key, head.deep},
                {head.query_grad + first * head.deep, head.deep},
                Store::replace);
}

template <class Real>
[[gnu::always_inline]] inline void store_gradients(const Attention<Real>& a,
                                                   const Place<Real>& place,
                                                   const Real* qkv,
                                                   const Head<Real>& head,
                                                   Real* dqkv) {
  const std::int64_t model = a.heads * a.head_width;
  for (std::int64_t t = 0; t < a.positions; ++t) {
    const std::int64_t at = (place.first_row + t) * 3 * model + place.column;
    unprepare_gradient(a, t, a.scale, qkv + at, head.query_grad + t * head.deep, dqkv + at);
    unprepare_gradient(
        a, t, Real(1), qkv + at + model, head.key_grad + t * head.deep, dqkv + at + model);
    std::copy_n(head.value_grad + t * head.deep, a.head_width, dqkv + at + 2 * model);
  }
}

}  // namespace

template <class Real>
std::int64_t attention_scratch(const Attention<Real>& attention) {
  return Head<Real>::numbers(attention);
}

template <class Real>
void attention_forward(Range items,
                       const Attention<Real>& attention,
                       const Real* qkv,
                       Real* out,
                       Real* log_sums,
                       Real* scratch) {
  std::fill_n(scratch, attention_scratch(attention), Real(0));
  const Head<Real> head(attention, scratch);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    on_best_processor([=]() __attribute__((always_inline)) {
      load_head(attention, Place<Real>(attention, item), qkv, head);
    });
    for (std::int64_t first = 0; first < attention.positions; first += kTile)
      forward_tile(attention, item, head, first, out, log_sums);
  }
}

template <class Real>
void attention_backward(Range items,
                        const Attention<Real>& attention,
                        const Real* qkv,
                        const Real* log_sums,
                        const Real* dout,
                        Real* dqkv,
                        Real* scratch) {
  std::fill_n(scratch, attention_scratch(attention), Real(0));
  const Head<Real> head(attention, scratch);
  const std::int64_t rows = attention.positions * head.deep;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const Place<Real> place(attention, item);
    on_best_processor([=]() __attribute__((always_inline)) {
      load_head(attention, place, qkv, head);
    });
    std::fill_n(head.key_grad, rows, Real(0));
    std::fill_n(head.value_grad, rows, Real(0));
    for (std::int64_t first = 0; first < attention.positions; first += kTile)
      backward_tile(attention, item, head, first, log_sums, dout);
    on_best_processor([=]() __attribute__((always_inline)) {
      store_gradients(attention, place, qkv, head, dqkv);
    });
  }
}

template std::int64_t attention_scratch<float>(const Attention<float>&);
template std::int64_t attention_scratch<double>(const Attention<double>&);
template void attention_forward<float>(
    Range, const Attention<float>&, const float*, float*, float*, float*);
template void attention_forward<double>(
    Range, const Attention<double>&, const double*, double*, double*, double*);
template void attention_backward<float>(
    Range, const Attention<float>&, const float*, const float*, const float*, float*, float*);
template void attention_backward<double>(
    Range, const Attention<double>&, const double*, const double*, const double*, double*, double*);

}  // namespace ration::train::cpu
