#pragma once

// What happens to queries, keys and values between their product and attention, in place on
// projected [rows,3,H,D]: bias, QK-norm, rotary positions (half-split).

#include "train/kernels/block.h"

namespace ration::train::kernels {

template <class T>
struct Rotation {
  std::int64_t heads = 1, head_width = 1, sequence = 1;  // H, D, T
  const Wide<T>* cosines = nullptr;                      // [T,D/2], or none: no rotation
  const Wide<T>* sines = nullptr;
  bool unit = false;  // QK-norm: each head of q and k divided by its root mean square
  Wide<T> eps = 0;
  Wide<T>* inverses = nullptr;  // of those: [rows,2H]

  // q and k, and the values too where they get a bias.
  RATION_BOTH std::int64_t heads_of_row(bool values) const { return (values ? 3 : 2) * heads; }
};

// One block a head of a row.
template <class T>
struct Rotate {
  static constexpr int kThreads = 32;
  using Real = Wide<T>;

  Rows rows;
  Rotation<T> rotation;
  const Real* bias = nullptr;  // [3,H,D] of run 0, or none; that of run k lies k * stride behind it
  std::int64_t stride = 0;
  T* projected = nullptr;

  std::int64_t blocks() const { return rows.count * rotation.heads_of_row(bias != nullptr); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t cut = rotation.heads_of_row(bias != nullptr), width = rotation.head_width;
    const std::int64_t row = index / cut, head = index % cut;
    const bool value = head >= 2 * rotation.heads;
    const Real* offset =
        bias == nullptr ? nullptr : bias + rows.run_of(row) * stride + head * width;
    T* x = projected + (row * 3 * rotation.heads + head) * width;
    const auto at = [&](std::int64_t i) {
      return widen(x[i]) + (offset == nullptr ? Real(0) : offset[i]);
    };
    Real inverse = 1;
    if (rotation.unit && !value) {
      const Real square = sums<Real, 1>(block, width, [&](std::int64_t i, Sums<Real, 1>& all) {
                            all.at[0] += at(i) * at(i);
                          }).at[0];
      inverse = 1 / std::sqrt(square / static_cast<Real>(width) + rotation.eps);
      block.each(
          1, [&](std::int64_t) { rotation.inverses[row * 2 * rotation.heads + head] = inverse; });
    }
    if (value || rotation.cosines == nullptr) {
      block.each(width, [&](std::int64_t i) { x[i] = static_cast<T>(at(i) * inverse); });
      return;
    }
    const std::int64_t half = width / 2, t = row % rotation.sequence;
    block.each(half, [&](std::int64_t j) {
      const Real cosine = rotation.cosines[t * half + j], sine = rotation.sines[t * half + j];
      const Real a = at(j) * inverse, b = at(j + half) * inverse;
      x[j] = static_cast<T>(a * cosine - b * sine);
      x[j + half] = static_cast<T>(b * cosine + a * sine);
    });
  }
};

// dprojected becomes the gradient before rotation and norm; `projected` holds what Rotate left. A
// rotation keeps inner products, so the norm's derivative inverse (d - x mean(d x)) is taken first.
template <class T>
struct RotateBackward {
  static constexpr int kThreads = 32;
  using Real = Wide<T>;

  Rows rows;
  Rotation<T> rotation;
  const T* projected = nullptr;
  T* dprojected = nullptr;

  std::int64_t blocks() const { return rows.count * rotation.heads_of_row(false); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const std::int64_t width = rotation.head_width;
    const std::int64_t row = index / (2 * rotation.heads), head = index % (2 * rotation.heads);
    const std::int64_t place = (row * 3 * rotation.heads + head) * width;
    const T* x = projected + place;
    T* d = dprojected + place;
    Real inverse = 1, along = 0;
    if (rotation.unit) {
      const Real dot = sums<Real, 1>(block, width, [&](std::int64_t i, Sums<Real, 1>& all) {
                         all.at[0] += widen(x[i]) * widen(d[i]);
                       }).at[0];
      along = dot / static_cast<Real>(width);
      inverse = rotation.inverses[row * 2 * rotation.heads + head];
    }
    const auto before_norm = [&](std::int64_t i) {
      return inverse * (widen(d[i]) - widen(x[i]) * along);
    };
    if (rotation.cosines == nullptr) {
      block.each(width, [&](std::int64_t i) { d[i] = static_cast<T>(before_norm(i)); });
      return;
    }
    const std::int64_t half = width / 2, t = row % rotation.sequence;
    block.each(half, [&](std::int64_t j) {
      const Real cosine = rotation.cosines[t * half + j], sine = rotation.sines[t * half + j];
      const Real a = before_norm(j), b = before_norm(j + half);
      d[j] = static_cast<T>(a * cosine + b * sine);
      d[j + half] = static_cast<T>(b * cosine - a * sine);
    });
  }
};

}  // namespace ration::train::kernels
