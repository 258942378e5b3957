#pragma once

// Softmax over what a query may see, and over the vocabulary with the loss in the same pass.

#include "train/kernels/block.h"
#include "train/kernels/mask.h"

namespace ration::train::kernels {

// A running maximum and the sum of exponentials relative to it.
template <class Real>
struct LogSum {
  Real largest = -INFINITY;
  Real sum = 0;

  RATION_BOTH void add(Real x) {
    if (x > largest) {
      sum = sum * std::exp(largest - x) + 1;
      largest = x;
    } else {
      sum += std::exp(x - largest);  // NaN lands here and stays
    }
  }
  RATION_BOTH static LogSum merged(const LogSum& a, const LogSum& b) {
    if (a.sum == 0) return b;
    if (b.sum == 0) return a;
    const Real top = a.largest > b.largest ? a.largest : b.largest;
    return {top, a.sum * std::exp(a.largest - top) + b.sum * std::exp(b.largest - top)};
  }
  RATION_BOTH Real value() const { return largest + std::log(sum); }
};

// losses[row] = logsumexp(logits) - logits[target], in double. With a weight, the logits become
// their gradient: weight ((1 + 2 square_weight logsumexp) softmax - one at the target); columns
// from the vocabulary's size on are padding: they count as -infinity and become 0. Works on `chunk`
// rows of each run, the first of which is row `first` of that run.
template <class T>
struct Classify {
  static constexpr int kThreads = 256;
  using Real = Wide<T>;

  Rows rows;  // of the whole micro-batch
  std::int64_t chunk = 0, first = 0;
  std::int64_t vocab = 0, stride = 0;     // V; elements from one row of logits to the next
  double weight = 0;                      // of a token's loss; 0: no gradient is wanted
  double square_weight = 0;               // z-loss
  const std::int64_t* targets = nullptr;  // [rows]
  T* logits = nullptr;                    // [runs,chunk,stride]
  double* losses = nullptr;               // [rows]

  std::int64_t blocks() const { return rows.runs() * chunk; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    if (stride % kPack<T> == 0)
      in_packs<kPack<T>>(block, index);
    else
      in_packs<1>(block, index);
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t index) const {
    const std::int64_t row = index / chunk * rows.per_run + first + index % chunk;
    const std::int64_t target = targets[row];
    T* z = logits + index * stride;
    const Real target_logit = widen(z[target]);
    const LogSum<Real> sum = block.reduce(
        ceil_div(vocab, N),
        LogSum<Real>{},
        [&](std::int64_t i, LogSum<Real>& all) {
          const Pack<T, N> some = load<N>(z + i * N);
          const int count = i * N + N <= vocab ? N : static_cast<int>(vocab - i * N);
          Real top = all.largest;
          for (int j = 0; j < N; ++j)
            if (j < count && widen(some.at[j]) > top) top = widen(some.at[j]);
          all.sum *= top > all.largest ? exponential<T>(all.largest - top) : Real(1);
          all.largest = top;
          for (int j = 0; j < N; ++j)  // NaN lands here and stays
            if (j < count) all.sum += exponential<T>(widen(some.at[j]) - top);
        },
        [](const LogSum<Real>& a, const LogSum<Real>& b) { return LogSum<Real>::merged(a, b); });
    const Real log_sum = sum.value();
    block.each(1, [&](std::int64_t) {
      losses[row] = static_cast<double>(log_sum) - static_cast<double>(target_logit);
    });
    if (weight == 0) return;
    const auto one = static_cast<Real>(weight);
    const auto share =
        static_cast<Real>(weight * (1 + 2 * square_weight * static_cast<double>(log_sum)));
    block.each(stride / N, [&](std::int64_t i) {
      Pack<T, N> some = load<N>(z + i * N);
      for (int j = 0; j < N; ++j) {
        const std::int64_t v = i * N + j;
        Real d = v < vocab ? share * exponential<T>(widen(some.at[j]) - log_sum) : Real(0);
        if (v == target) d -= one;
        some.at[j] = static_cast<T>(d);
      }
      store(some, z + i * N);
    });
  }
};

// Causal attention where it is not fused: items [n] of T x T scores, item i that of sequence and
// head `first_item` + i of all runs, counted run by run.
struct Scores {
  std::int64_t items = 0, first_item = 0;
  std::int64_t items_per_run = 1;  // sequences * heads
  std::int64_t first_of_run = 0;   // of the run's step that the first item of this micro-batch is
  std::int64_t positions = 0;      // T
  double scale = 1;                // of a score
  Mask mask;                       // of the weights

  RATION_BOTH std::int64_t run_of(std::int64_t item) const {
    return (first_item + item) / items_per_run;
  }
  RATION_BOTH std::int64_t first_element(std::int64_t item, std::int64_t t) const {
    return ((first_of_run + (first_item + item) % items_per_run) * positions + t) * positions;
  }
};

// scores become weights, zero behind the diagonal; `dropped` (or none) the same with dropout.
template <class T>
struct Attend {
  static constexpr int kThreads = 64;
  using Real = Wide<T>;

  Scores shape;
  T* scores = nullptr;
  T* dropped = nullptr;

  std::int64_t blocks() const { return shape.items * shape.positions; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t item = index / shape.positions, t = index % shape.positions;
    T* row = scores + index * shape.positions;
    const auto scale = static_cast<Real>(shape.scale);
    const LogSum<Real> sum = block.reduce(
        t + 1,
        LogSum<Real>{},
        [&](std::int64_t i, LogSum<Real>& all) { all.add(widen(row[i]) * scale); },
        [](const LogSum<Real>& a, const LogSum<Real>& b) { return LogSum<Real>::merged(a, b); });
    const Real log_sum = sum.value();
    const std::int64_t run = shape.run_of(item), first = shape.first_element(item, t);
    block.each(shape.positions, [&](std::int64_t i) {
      const Real weight = i <= t ? std::exp(widen(row[i]) * scale - log_sum) : Real(0);
      row[i] = static_cast<T>(weight);
      if (dropped == nullptr) return;
      const Real kept = shape.mask.active() ? shape.mask.factor<Real>(run, first + i) : Real(1);
      dropped[index * shape.positions + i] = static_cast<T>(weight * kept);
    });
  }
};

// grads, of the dropped weights, become those of the scores before scaling.
template <class T>
struct AttendBackward {
  static constexpr int kThreads = 64;
  using Real = Wide<T>;

  Scores shape;
  const T* weights = nullptr;
  T* grads = nullptr;

  std::int64_t blocks() const { return shape.items * shape.positions; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t item = index / shape.positions, t = index % shape.positions;
    const std::int64_t run = shape.run_of(item), first = shape.first_element(item, t);
    const T* weight = weights + index * shape.positions;
    T* grad = grads + index * shape.positions;
    const auto kept_grad = [&](std::int64_t i) {
      const Real kept = shape.mask.active() ? shape.mask.factor<Real>(run, first + i) : Real(1);
      return widen(grad[i]) * kept;
    };
    const Real along = sums<Real, 1>(block, t + 1, [&](std::int64_t i, Sums<Real, 1>& all) {
                         all.at[0] += widen(weight[i]) * kept_grad(i);
                       }).at[0];
    const auto scale = static_cast<Real>(shape.scale);
    block.each(shape.positions, [&](std::int64_t i) {
      grad[i] =
          static_cast<T>(i <= t ? widen(weight[i]) * (kept_grad(i) - along) * scale : Real(0));
    });
  }
};

}  // namespace ration::train::kernels
