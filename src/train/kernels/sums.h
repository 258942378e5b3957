#pragma once

// Sums over rows in two stages of fixed order, and gradients of low precision added to wide ones.

#include "train/kernels/block.h"

namespace ration::train::kernels {

// parts_out [runs,parts,columns] = sums of x [rows,columns] over the rows of each part: the first
// stage of a bias's gradient.
template <class T>
struct ColumnSums {
  static constexpr int kThreads = 64;

  Rows rows;
  Parts parts;
  std::int64_t columns = 0;
  const T* x = nullptr;
  Wide<T>* parts_out = nullptr;

  std::int64_t tiles() const { return ceil_div(columns, kThreads); }
  std::int64_t blocks() const { return rows.runs() * parts.count * tiles(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t cut = ceil_div(columns, kThreads);
    const std::int64_t first = index % cut * kThreads, place = index / cut;
    const std::int64_t run = place / parts.count, part = place % parts.count;
    block.each(smaller(kThreads, columns - first), [&](std::int64_t i) {
      Wide<T> sum = 0;
      for (std::int64_t r = parts.begin(part); r < parts.begin(part + 1); ++r)
        sum += widen(x[(run * rows.per_run + r) * columns + first + i]);
      parts_out[place * columns + first + i] = sum;
    });
  }
};

// The second stage: grad [columns] += the parts of its run. grad of run k lies k * stride behind
// that of run 0. A block takes kTile columns and kGroups threads for each, of which thread g adds
// parts g, g + kGroups, …; then those sums are added in order.
template <class T>
struct FoldParts {
  static constexpr std::int64_t kTile = 32, kGroups = 32;
  static constexpr int kThreads = kTile * kGroups;
  using Real = Wide<T>;

  std::int64_t runs = 1;
  std::int64_t parts = 1;
  std::int64_t columns = 0;
  const Real* sums = nullptr;  // [runs,parts,columns]
  Real* grad = nullptr;
  std::int64_t stride = 0;

  std::int64_t blocks() const { return runs * ceil_div(columns, kTile); }
  std::int64_t scratch_bytes() const { return kThreads * static_cast<std::int64_t>(sizeof(Real)); }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t cut = ceil_div(columns, kTile);
    const std::int64_t first = index % cut * kTile, run = index / cut;
    const std::int64_t count = smaller(kTile, columns - first);
    Real* of_groups = block.template scratch<Real>();  // [groups,tile]
    block.each(kThreads, [&](std::int64_t i) {
      const std::int64_t column = i % kTile;
      Real sum = 0;
      if (column < count)
        for (std::int64_t p = i / kTile; p < parts; p += kGroups)
          sum += sums[(run * parts + p) * columns + first + column];
      of_groups[i] = sum;
    });
    block.wait();
    block.each(count, [&](std::int64_t column) {
      Real sum = 0;
      for (std::int64_t group = 0; group < kGroups; ++group)
        sum += of_groups[group * kTile + column];
      grad[run * stride + first + column] += sum;
    });
  }
};

// grad += more, `count` elements a run; grad of run k lies k * stride behind that of run 0, `more`
// is contiguous.
template <class T>
struct Accumulate {
  static constexpr int kThreads = 256;
  static constexpr std::int64_t kOfBlock = 4 * kThreads * kPack<T>;  // elements

  std::int64_t runs = 1;
  std::int64_t count = 0;
  const T* more = nullptr;
  Wide<T>* grad = nullptr;
  std::int64_t stride = 0;

  std::int64_t blocks() const { return runs * ceil_div(count, kOfBlock); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    if (count % kPack<T> == 0 && stride % kPack<T> == 0)
      in_packs<kPack<T>>(block, index);
    else
      in_packs<1>(block, index);
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t index) const {
    const std::int64_t cut = ceil_div(count, kOfBlock);
    const std::int64_t first = index % cut * kOfBlock, run = index / cut;
    block.each(smaller(kOfBlock, count - first) / N, [&](std::int64_t i) {
      Wide<T>* to = grad + run * stride + first + i * N;
      const Pack<T, N> addend = load<N>(more + run * count + first + i * N);
      Pack<Wide<T>, N> sum = load<N>(to);
      for (int j = 0; j < N; ++j) sum.at[j] += widen(addend.at[j]);
      store(sum, to);
    });
  }
};

}  // namespace ration::train::kernels
