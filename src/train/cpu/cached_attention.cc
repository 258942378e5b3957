#include "train/cpu/cached_attention.h"

#include <algorithm>

#include "train/cpu/head_vectors.h"
#include "train/cpu/processor.h"
#include "train/cpu/product.h"

namespace ration::train::cpu {
namespace {

constexpr std::int64_t kTile = 16;  // rows of the attention matrix that are held at once

// An odd number of cache lines, as in attention.cc: with a power of two, the elements of a column
// would fall into the same few places of the cache.
template <class Real>
std::int64_t padded(std::int64_t positions) {
  return rounded_up<Real>(positions) | Lanes<Real>::kCount;
}

// Of a row of weights: those of `before`, and right behind them those of `own`, whose product
// writes whole vectors.
template <class Real>
std::int64_t row_width(std::int64_t before, std::int64_t own) {
  return padded<Real>(before + rounded_up<Real>(own));
}

// Rows [first, first + rows) of the scores: columns 0 … before.count + first + rows - 1.
template <class Real>
void scores(const KeptHead<Real>& before,
            const KeptHead<Real>& own,
            std::int64_t depth,
            std::int64_t first,
            std::int64_t rows,
            const Real* query,
            RowMajor<Real> weights) {
  const Left<Real> left{query, rounded_up<Real>(depth), 1};
  if (before.count > 0)
    product<Real>(rows,
                  rounded_up<Real>(before.count),
                  depth,
                  left,
                  {before.key_columns, before.wide},
                  weights,
                  Store::replace);
  product<Real>(rows,
                rounded_up<Real>(first + rows),
                depth,
                left,
                {own.key_columns, own.wide},
                {weights.data + before.count, weights.stride},
                Store::replace);
}

// mixed [rows,D'] = weights times the values.
template <class Real>
void mix_values(const KeptHead<Real>& before,
                const KeptHead<Real>& own,
                std::int64_t depth,
                std::int64_t first,
                std::int64_t rows,
                RowMajor<Real> weights,
                Real* mixed) {
  const std::int64_t deep = rounded_up<Real>(depth);
  if (before.count > 0)
    product<Real>(rows,
                  deep,
                  before.count,
                  {weights.data, weights.stride, 1},
                  {before.values, deep},
                  {mixed, deep},
                  Store::replace);
  product<Real>(rows,
                deep,
                first + rows,
                {weights.data + before.count, weights.stride, 1},
                {own.values, deep},
                {mixed, deep},
                before.count > 0 ? Store::add : Store::replace);
}

}  // namespace

template <class Real>
std::int64_t kept_numbers(std::int64_t head_width, std::int64_t count) {
  return count == 0 ? 0 : head_width * padded<Real>(count) + count * rounded_up<Real>(head_width);
}

template <class Real>
KeptHead<Real> kept_within(std::int64_t head_width, std::int64_t count, Real* numbers) {
  if (count == 0) return {};
  const std::int64_t wide = padded<Real>(count);
  return {
      .count = count, .wide = wide, .key_columns = numbers, .values = numbers + head_width * wide};
}

template <class Real>
void keep(const Attention<Real>& attention,
          const HeadTokens<Real>& tokens,
          const KeptHead<Real>& kept) {
  on_best_processor([=]() __attribute__((always_inline)) {
    const std::int64_t depth = attention.head_width, model = attention.heads * depth;
    const std::int64_t deep = rounded_up<Real>(depth);
    for (std::int64_t t = 0; t < kept.count; ++t) {
      const Real* row = tokens.qkv + t * 3 * model + tokens.head * depth;
      Real* values = kept.values + t * deep;
      prepare_vector(attention, tokens.position + t, Real(1), row + model, values);  // for a moment
      for (std::int64_t c = 0; c < depth; ++c) kept.key_columns[c * kept.wide + t] = values[c];
      std::copy_n(row + 2 * model, depth, values);
      std::fill_n(values + depth, deep - depth, Real(0));
    }
    for (std::int64_t c = 0; c < depth; ++c)
      std::fill_n(kept.key_columns + c * kept.wide + kept.count, kept.wide - kept.count, Real(0));
  });
}

template <class Real>
std::int64_t attend_scratch(std::int64_t head_width, std::int64_t before, std::int64_t own) {
  return kTile * (row_width<Real>(before, own) + 2 * rounded_up<Real>(head_width));
}

template <class Real>
void attend(const Attention<Real>& attention,
            const HeadTokens<Real>& tokens,
            const KeptHead<Real>& before,
            const KeptHead<Real>& own,
            Real* out,
            Real* scratch) {
  const std::int64_t depth = attention.head_width, model = attention.heads * depth;
  const std::int64_t deep = rounded_up<Real>(depth), column = tokens.head * depth;
  Real* query = scratch;
  Real* mixed = query + kTile * deep;
  const RowMajor<Real> weights{mixed + kTile * deep, row_width<Real>(before.count, own.count)};
  for (std::int64_t first = 0; first < own.count; first += kTile) {
    const std::int64_t rows = std::min(kTile, own.count - first);
    on_best_processor([=]() __attribute__((always_inline)) {
      for (std::int64_t r = 0; r < rows; ++r)
        prepare_vector(attention,
                       tokens.position + first + r,
                       attention.scale,
                       tokens.qkv + (first + r) * 3 * model + column,
                       query + r * deep);
    });
    scores(before, own, depth, first, rows, query, weights);
    on_best_processor([=]() __attribute__((always_inline)) {
      for (std::int64_t r = 0; r < rows; ++r)
        softmax_row(before.count + first + r,
                    before.count + first + rows,
                    weights.data + r * weights.stride);
    });
    mix_values(before, own, depth, first, rows, weights, mixed);
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(mixed + r * deep, depth, out + (first + r) * model + column);
  }
}

template std::int64_t kept_numbers<float>(std::int64_t, std::int64_t);
template std::int64_t kept_numbers<double>(std::int64_t, std::int64_t);
template KeptHead<float> kept_within<float>(std::int64_t, std::int64_t, float*);
template KeptHead<double> kept_within<double>(std::int64_t, std::int64_t, double*);
template void keep<float>(const Attention<float>&,
                          const HeadTokens<float>&,
                          const KeptHead<float>&);
template void keep<double>(const Attention<double>&,
                           const HeadTokens<double>&,
                           const KeptHead<double>&);
template std::int64_t attend_scratch<float>(std::int64_t, std::int64_t, std::int64_t);
template std::int64_t attend_scratch<double>(std::int64_t, std::int64_t, std::int64_t);
template void attend<float>(const Attention<float>&,
                            const HeadTokens<float>&,
                            const KeptHead<float>&,
                            const KeptHead<float>&,
                            float*,
                            float*);
template void attend<double>(const Attention<double>&,
                             const HeadTokens<double>&,
                             const KeptHead<double>&,
                             const KeptHead<double>&,
                             double*,
                             double*);

}  // namespace ration::train::cpu
