#pragma once

// The end of a step, all in the device's memory, so that a recorded step can be replayed with other
// numbers: the norm of each run's gradients, the decision whether and how far it moves, AdamW.

#include "train/kernels/block.h"

namespace ration::train::kernels {

// What a run is told for one step.
struct RunControl {
  double lr = 0;
  double weight_decay = 0;  // of matrices
  double clip = 0;          // largest gradient norm; 0 never clips
  std::int64_t active = 1;  // 0: the run has ended and keeps its weights
};

// What came out of it.
struct RunResult {
  double loss = 0;  // as summed by SumLosses
  double grad_norm = 0;
  double clip = 1;           // coefficient
  std::int64_t updated = 0;  // 0: loss or norm was not finite, or the run has ended
};

// What AdamW needs to know of a run.
struct RunFactors {
  double step_size = 0;        // lr / (1 - beta1^t)
  double root_correction = 1;  // sqrt(1 - beta2^t)
  double grad_scale = 1;
  double keep = 1;  // 1 - lr weight_decay
  std::int64_t update = 0;
};

// parts [runs,P] = sums of squares of grads [runs,size] over P parts of equal length.
template <class T>
struct SquareSums {
  static constexpr int kThreads = 256;

  std::int64_t runs = 1, size = 0, parts = 1;
  const Wide<T>* grads = nullptr;
  double* sums_out = nullptr;

  std::int64_t blocks() const { return runs * parts; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t run = index / parts, part = index % parts;
    const std::int64_t begin = size * part / parts, end = size * (part + 1) / parts;
    const Wide<T>* from = grads + run * size + begin;
    const Sums<double, 1> total =
        sums<double, 1>(block, end - begin, [&](std::int64_t i, Sums<double, 1>& all) {
          all.at[0] += static_cast<double>(from[i]) * static_cast<double>(from[i]);
        });
    block.each(1, [&](std::int64_t) { sums_out[index] = total.at[0]; });
  }
};
// Depends on the size of one run alone; a part is what a block reads in a few microseconds.
inline std::int64_t square_parts(std::int64_t size) {
  const std::int64_t wanted = ceil_div(size, 16384);
  return wanted < 1 ? 1 : smaller(wanted, 1024);
}

// results[run].loss += weight * the sum of its rows' losses.
struct SumLosses {
  static constexpr int kThreads = 256;

  Rows rows;
  double weight = 1;
  const double* losses = nullptr;
  RunResult* results = nullptr;

  std::int64_t blocks() const { return rows.runs(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t run) const {
    const double* from = losses + run * rows.per_run;
    const Sums<double, 1> total = sums<double, 1>(
        block, rows.per_run, [&](std::int64_t i, Sums<double, 1>& all) { all.at[0] += from[i]; });
    block.each(1, [&](std::int64_t) { results[run].loss += weight * total.at[0]; });
  }
};

// Fills results and factors, and counts the update, unless loss or norm is not finite.
struct Decide {
  static constexpr int kThreads = 32;

  std::int64_t runs = 1, parts = 1;
  double beta1 = 0, beta2 = 0;
  const RunControl* controls = nullptr;
  const double* square_sums = nullptr;  // [runs,parts]
  std::int64_t* updates = nullptr;      // of each run, made so far
  RunResult* results = nullptr;
  RunFactors* factors = nullptr;

  std::int64_t blocks() const { return runs; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t run) const {
    const Sums<double, 1> square =
        sums<double, 1>(block, parts, [&](std::int64_t i, Sums<double, 1>& all) {
          all.at[0] += square_sums[run * parts + i];
        });
    block.each(1, [&](std::int64_t) {
      const RunControl& control = controls[run];
      RunResult& result = results[run];
      result.grad_norm = std::sqrt(square.at[0]);
      constexpr double kNormFloor = 1e-6;
      result.clip = 1;
      const double coefficient = control.clip / (result.grad_norm + kNormFloor);
      if (control.clip > 0 && coefficient < 1) result.clip = coefficient;
      const bool finite =
          result.loss - result.loss == 0 && result.grad_norm - result.grad_norm == 0;
      result.updated = finite && control.active != 0 ? 1 : 0;
      updates[run] += result.updated;
      const auto t = static_cast<double>(updates[run]);
      factors[run] = {.step_size = control.lr / (1 - std::pow(beta1, t)),
                      .root_correction = std::sqrt(1 - std::pow(beta2, t)),
                      .grad_scale = result.clip,
                      .keep = 1 - control.lr * control.weight_decay,
                      .update = result.updated};
    });
  }
};

// With g the scaled gradient: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2,
// p = keep p - step_size m / (sqrt(v)/root_correction + eps), over [runs,size]; elements from
// `decayed` on are kept whole. Elements before `tuned_matrices`, and from `decayed` to
// `tuned_vectors`, stay as they are. `copy` receives p in T; it may be none.
template <class T>
struct AdamW {
  static constexpr int kThreads = 256;
  static constexpr int kPackSize = kPack<Wide<T>>;
  static constexpr std::int64_t kOfBlock = 4 * kThreads * kPackSize;
  using Real = Wide<T>;

  std::int64_t runs = 1, size = 0, decayed = 0;  // multiples of a pack, as the next four
  std::int64_t tuned_matrices = 0, tuned_vectors = 0;
  std::int64_t hidden_begin = 0, hidden_end = 0;  // elements whose rate is …
  double hidden_rate = 1;                         // … this share of the others'
  double beta1 = 0, beta2 = 0, eps = 0;
  const RunFactors* factors = nullptr;
  const Real* grads = nullptr;
  Real* values = nullptr;
  Real* first = nullptr;
  Real* second = nullptr;
  T* copy = nullptr;

  std::int64_t blocks() const { return runs * ceil_div(size, kOfBlock); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t cut = ceil_div(size, kOfBlock);
    const std::int64_t begin = index % cut * kOfBlock, run = index / cut;
    const RunFactors& factor = factors[run];
    if (factor.update == 0) return;
    const auto b1 = static_cast<Real>(beta1), c1 = static_cast<Real>(1 - beta1);
    const auto b2 = static_cast<Real>(beta2), c2 = static_cast<Real>(1 - beta2);
    const auto usual = static_cast<Real>(factor.step_size);
    const auto hidden = static_cast<Real>(factor.step_size * hidden_rate);
    const auto floor = static_cast<Real>(eps);
    const auto root = static_cast<Real>(1 / factor.root_correction);
    const auto scale = static_cast<Real>(factor.grad_scale);
    const auto keep = static_cast<Real>(factor.keep);
    constexpr int N = kPackSize;
    block.each(smaller(kOfBlock, size - begin) / N, [&](std::int64_t i) {
      const std::int64_t within = begin + i * N, at = run * size + within;
      if (within < (within < decayed ? tuned_matrices : tuned_vectors)) return;
      const Pack<Real, N> g = load<N>(grads + at);
      Pack<Real, N> p = load<N>(values + at), m = load<N>(first + at), v = load<N>(second + at);
      Pack<T, N> rounded;
      const Real kept = within < decayed ? keep : Real(1);
      const Real step = within >= hidden_begin && within < hidden_end ? hidden : usual;
      for (int j = 0; j < N; ++j) {
        const Real gradient = g.at[j] * scale;
        m.at[j] = b1 * m.at[j] + c1 * gradient;
        v.at[j] = b2 * v.at[j] + c2 * gradient * gradient;
        p.at[j] = p.at[j] * kept - step * m.at[j] / (std::sqrt(v.at[j]) * root + floor);
        rounded.at[j] = static_cast<T>(p.at[j]);
      }
      store(p, values + at);
      store(m, first + at);
      store(v, second + at);
      if (copy != nullptr) store(rounded, copy + at);
    });
  }
};

}  // namespace ration::train::kernels
