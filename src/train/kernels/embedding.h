#pragma once

// Tokens to rows, and the way back without atomic additions.

#include "train/kernels/block.h"
#include "train/kernels/mask.h"

namespace ration::train::kernels {

// x [rows,C] = dropped(table[token] + positions[t]); tables of run k lie k * stride behind run 0's.
template <class T>
struct Embed {
  static constexpr int kThreads = 64;
  using Real = Wide<T>;

  Rows rows;
  std::int64_t width = 0, sequence = 1;  // C; T positions of a sequence
  const std::int64_t* tokens = nullptr;
  const Real* table = nullptr;      // [V,C]
  const Real* positions = nullptr;  // [T,C], or none
  std::int64_t stride = 0;
  Mask mask;
  std::int64_t first_element = 0;  // of the run's step that its first element here is
  Real* x = nullptr;

  std::int64_t blocks() const { return rows.count; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t row) const {
    const std::int64_t run = rows.run_of(row), r = row - run * rows.per_run;
    const Real* from = table + run * stride + tokens[row] * width;
    const Real* place =
        positions == nullptr ? nullptr : positions + run * stride + r % sequence * width;
    block.each(width, [&](std::int64_t c) {
      Real value = from[c];
      if (place != nullptr) value += place[c];
      if (mask.active()) value *= mask.factor<Real>(run, first_element + r * width + c);
      x[row * width + c] = value;
    });
  }
};

// grad[token] += the rows of dx that read it, in their order, each with the embedding's dropout.
// `order` lists the rows of each run (counted within the run) sorted by token, equal tokens by row:
// the block at the first of a token's places adds all of them. dx is replaced by what its dropout
// leaves, for the positions.
template <class T>
struct EmbedBackward {
  static constexpr int kThreads = 64;
  using Real = Wide<T>;

  Rows rows;
  std::int64_t width = 0;
  const std::int64_t* tokens = nullptr;
  const std::int32_t* order = nullptr;  // [rows]
  Mask mask;
  std::int64_t first_element = 0;
  Real* dx = nullptr;
  Real* grad = nullptr;  // [V,C]
  std::int64_t stride = 0;

  std::int64_t blocks() const { return rows.count; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t run = rows.run_of(index), first_row = run * rows.per_run;
    const auto token_at = [&](std::int64_t i) { return tokens[first_row + order[i]]; };
    const std::int64_t token = token_at(index);
    if (index > first_row && token_at(index - 1) == token) return;
    std::int64_t end = index + 1;
    while (end < first_row + rows.per_run && token_at(end) == token) ++end;
    block.each(width, [&](std::int64_t c) {
      Real sum = 0;
      for (std::int64_t i = index; i < end; ++i) {
        const std::int64_t r = order[i];
        Real* at = dx + (first_row + r) * width + c;
        if (mask.active()) *at *= mask.factor<Real>(run, first_element + r * width + c);
        sum += *at;
      }
      grad[run * stride + token * width + c] += sum;
    });
  }
};

// grad [T,C] += the sums of dx over sequences, in order.
template <class T>
struct PositionsBackward {
  static constexpr int kThreads = 64;

  Rows rows;
  std::int64_t width = 0, sequence = 1;
  const Wide<T>* dx = nullptr;
  Wide<T>* grad = nullptr;
  std::int64_t stride = 0;

  std::int64_t blocks() const { return rows.runs() * sequence; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t run = index / sequence, t = index % sequence;
    block.each(width, [&](std::int64_t c) {
      Wide<T> sum = 0;
      for (std::int64_t r = t; r < rows.per_run; r += sequence)
        sum += dx[(run * rows.per_run + r) * width + c];
      grad[run * stride + t * width + c] += sum;
    });
  }
};

}  // namespace ration::train::kernels
