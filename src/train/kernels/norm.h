#pragma once

// Residual sum and norm in one pass over the residual stream, which is kept in wide numbers.

#include "train/kernels/block.h"
#include "train/kernels/mask.h"

namespace ration::train::kernels {

// RMSNorm, or LayerNorm when `centred`, of rows [C]; gain and bias (or none) of run k lie k *
// stride behind those of run 0.
template <class T>
struct Norm {
  std::int64_t width = 0;
  bool centred = false;
  Wide<T> eps = 0;
  const Wide<T>* gain = nullptr;
  const Wide<T>* bias = nullptr;
  std::int64_t stride = 0;
};

// sum = x + dropped(branch + branch_bias); out = norm(sum). Without a branch x is normed as it is
// and `sum` is not written. `stats` receives mean and 1/deviation of each row: [rows,2].
template <class T>
struct AddNorm {
  static constexpr int kThreads = 32;
  using Real = Wide<T>;

  Rows rows;
  Norm<T> norm;
  const Real* x = nullptr;            // [rows,C]
  const T* branch = nullptr;          // [rows,C], or none
  const Real* branch_bias = nullptr;  // [C] of run 0, or none; strides as the gains
  Mask mask;                          // of the branch
  std::int64_t first_element = 0;     // of the run's step that its first element here is
  Real* sum = nullptr;                // [rows,C]; may be x
  T* out = nullptr;                   // [rows,C]; none: the sum alone is wanted
  Real* stats = nullptr;

  std::int64_t blocks() const { return rows.count; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t row) const {
    in_fitting_packs<T>(
        norm.width, kThreads, [&](auto packs) { in_packs<packs.kElements>(block, row); });
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t row) const {
    const std::int64_t run = rows.run_of(row), packs = norm.width / N, start = row * norm.width;
    const std::int64_t element = first_element + (row - run * rows.per_run) * norm.width;
    const Real* source = branch == nullptr ? x : sum;
    // First the sum; its plain or squared total comes along.
    const Sums<Real, 1> total =
        sums<Real, 1>(block, packs, [&](std::int64_t i, Sums<Real, 1>& all) {
          Pack<Real, N> value = load<N>(x + start + i * N);
          if (branch != nullptr) {
            const Pack<T, N> more = load<N>(branch + start + i * N);
            for (int j = 0; j < N; ++j) {
              Real addend = widen(more.at[j]);
              if (branch_bias != nullptr) addend += branch_bias[run * norm.stride + i * N + j];
              if (mask.active()) addend *= mask.factor<Real>(run, element + i * N + j);
              value.at[j] += addend;
            }
            store(value, sum + start + i * N);
          }
          for (int j = 0; j < N; ++j)
            all.at[0] += norm.centred ? value.at[j] : value.at[j] * value.at[j];
        });
    if (out == nullptr) return;
    const auto count = static_cast<Real>(norm.width);
    const Real mean = norm.centred ? total.at[0] / count : Real(0);
    Real square = total.at[0];
    if (norm.centred)
      square = sums<Real, 1>(block, packs, [&](std::int64_t i, Sums<Real, 1>& all) {
                 const Pack<Real, N> value = load<N>(source + start + i * N);
                 for (int j = 0; j < N; ++j) {
                   const Real centred = value.at[j] - mean;
                   all.at[0] += centred * centred;
                 }
               }).at[0];
    const Real inverse = 1 / std::sqrt(square / count + norm.eps);
    block.each(packs, [&](std::int64_t i) {
      const Pack<Real, N> value = load<N>(source + start + i * N);
      const Pack<Real, N> gain = load<N>(norm.gain + run * norm.stride + i * N);
      Pack<T, N> to;
      for (int j = 0; j < N; ++j) {
        Real y = (value.at[j] - mean) * inverse * gain.at[j];
        if (norm.bias != nullptr) y += norm.bias[run * norm.stride + i * N + j];
        to.at[j] = static_cast<T>(y);
      }
      store(to, out + start + i * N);
    });
    block.each(1, [&](std::int64_t) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = inverse;
    });
  }
};

// dx becomes or grows by what dout becomes behind the norm, and `dbranch` (or none) receives it as
// the branch saw it that was added last: in T, with the branch's dropout. gain_parts and bias_parts
// (or none) receive sums over the rows of each part, [runs,parts,C], for FoldParts.
// With y = (x - mean)/deviation and dy = dout gain:
// dx = (dy - mean(dy) - y mean(dy y))/deviation; without centring there is no mean(dy).
template <class T>
struct NormBackward {
  static constexpr int kThreads = 32;
  using Real = Wide<T>;

  Rows rows;
  Parts parts;
  Norm<T> norm;
  const Real* x = nullptr;
  const Real* stats = nullptr;
  const T* dout = nullptr;
  bool replace = false;  // dx begins here
  Real* dx = nullptr;
  T* dbranch = nullptr;
  Mask mask;
  std::int64_t first_element = 0;
  Real* gain_parts = nullptr;
  Real* bias_parts = nullptr;

  std::int64_t blocks() const { return rows.runs() * parts.count; }
  std::int64_t scratch_bytes() const {
    return norm.width * static_cast<std::int64_t>(sizeof(Real)) * (bias_parts == nullptr ? 1 : 2);
  }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    in_fitting_packs<T>(
        norm.width, kThreads, [&](auto packs) { in_packs<packs.kElements>(block, index); });
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t index) const {
    const std::int64_t run = index / parts.count, part = index % parts.count, width = norm.width;
    Real* gain_sums = block.template scratch<Real>();
    Real* bias_sums = gain_sums + width;
    block.each(width / N, [&](std::int64_t i) {
      for (int j = 0; j < N; ++j) {
        gain_sums[i * N + j] = 0;
        if (bias_parts != nullptr) bias_sums[i * N + j] = 0;
      }
    });
    for (std::int64_t r = parts.begin(part); r < parts.begin(part + 1); ++r)
      one_row<N>(block, run, r, gain_sums, bias_sums);
    block.each(width / N, [&](std::int64_t i) {
      for (int j = 0; j < N; ++j) {
        gain_parts[index * width + i * N + j] = gain_sums[i * N + j];
        if (bias_parts != nullptr) bias_parts[index * width + i * N + j] = bias_sums[i * N + j];
      }
    });
  }

  template <int N, class Block>
  RATION_BOTH void one_row(const Block& block,
                           std::int64_t run,
                           std::int64_t r,
                           Real* gain_sums,
                           Real* bias_sums) const {
    const std::int64_t row = run * rows.per_run + r, packs = norm.width / N;
    const std::int64_t start = row * norm.width, element = first_element + r * norm.width;
    const Real mean = stats[2 * row], inverse = stats[2 * row + 1];
    const Real* gains = norm.gain + run * norm.stride;
    const Sums<Real, 2> total =
        sums<Real, 2>(block, packs, [&](std::int64_t i, Sums<Real, 2>& all) {
          const Pack<Real, N> value = load<N>(x + start + i * N), gain = load<N>(gains + i * N);
          const Pack<T, N> d = load<N>(dout + start + i * N);
          Pack<Real, N> of_gain = load<N>(gain_sums + i * N);
          for (int j = 0; j < N; ++j) {
            const Real y = (value.at[j] - mean) * inverse, slope = widen(d.at[j]);
            of_gain.at[j] += slope * y;
            if (bias_parts != nullptr) bias_sums[i * N + j] += slope;
            all.at[0] += slope * gain.at[j];
            all.at[1] += slope * gain.at[j] * y;
          }
          store(of_gain, gain_sums + i * N);
        });
    const auto count = static_cast<Real>(norm.width);
    const Real along_ones = norm.centred ? total.at[0] / count : Real(0);
    const Real along_y = total.at[1] / count;
    block.each(packs, [&](std::int64_t i) {
      const Pack<Real, N> value = load<N>(x + start + i * N), gain = load<N>(gains + i * N);
      const Pack<T, N> d = load<N>(dout + start + i * N);
      Pack<Real, N> to{};
      if (!replace) to = load<N>(dx + start + i * N);
      Pack<T, N> below;
      for (int j = 0; j < N; ++j) {
        const Real y = (value.at[j] - mean) * inverse;
        to.at[j] += (widen(d.at[j]) * gain.at[j] - along_ones - y * along_y) * inverse;
        Real seen = to.at[j];
        if (mask.active()) seen *= mask.factor<Real>(run, element + i * N + j);
        below.at[j] = static_cast<T>(seen);
      }
      store(to, dx + start + i * N);
      if (dbranch != nullptr) store(below, dbranch + start + i * N);
    });
  }
};

}  // namespace ration::train::kernels
