#pragma once

// What happens to queries, keys and values between their product and attention, in place on
// projected [rows,3,H,D]: bias, QK-norm, rotary positions (half-split); and their gradients,
// brought together again.

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

  // A thread takes a whole head where it needs its root mean square, else a pack of the first half
  // with its partner in the second, or without rotation a single element.
  RATION_BOTH int pack() const { return pack_of<T>(head_width / 2); }
  RATION_BOTH std::int64_t cells_of_head() const {
    if (unit) return 1;
    return cosines == nullptr ? head_width : head_width / 2 / pack();
  }
  RATION_BOTH Cells cells(const Rows& rows, bool values) const {
    return {rows.count, heads_of_row(values) * cells_of_head()};
  }
  // Of the position of a row.
  RATION_BOTH std::int64_t angles(std::int64_t row) const {
    const auto t = static_cast<std::uint32_t>(row) % static_cast<std::uint32_t>(sequence);
    return t * (head_width / 2);
  }
};

template <class T>
struct Rotate {
  static constexpr int kThreads = 128;
  using Real = Wide<T>;

  Rows rows;
  Rotation<T> rotation;
  const Real* bias = nullptr;  // [3,H,D] of run 0, or none; that of run k lies k * stride behind it
  std::int64_t stride = 0;
  T* projected = nullptr;

  std::int64_t blocks() const { return rotation.cells(rows, bias != nullptr).blocks(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const auto cells_of_head = static_cast<std::uint32_t>(rotation.cells_of_head());
    const Cells cells = rotation.cells(rows, bias != nullptr);
    cells.each(block, index, [&](std::int64_t row, std::int64_t cell) {
      const std::int64_t head = static_cast<std::uint32_t>(cell) / cells_of_head;
      const std::int64_t within = static_cast<std::uint32_t>(cell) % cells_of_head;
      if (rotation.unit)
        whole(row, head);
      else if (rotation.cosines == nullptr)
        add_bias(row, head, within);
      else if (rotation.pack() > 1)
        turn<kPack<T>>(row, head, within * kPack<T>, 1);
      else
        turn<1>(row, head, within, 1);
    });
  }

 private:
  RATION_BOTH T* head_of(std::int64_t row, std::int64_t head) const {
    return projected + (row * 3 * rotation.heads + head) * rotation.head_width;
  }
  RATION_BOTH Real biased(std::int64_t row, std::int64_t head, std::int64_t i, T x) const {
    if (bias == nullptr) return widen(x);
    return widen(x) + bias[rows.run_of(row) * stride + head * rotation.head_width + i];
  }
  RATION_BOTH bool is_value(std::int64_t head) const { return head >= 2 * rotation.heads; }

  RATION_BOTH void add_bias(std::int64_t row, std::int64_t head, std::int64_t i) const {
    T* x = head_of(row, head);
    x[i] = static_cast<T>(biased(row, head, i, x[i]));
  }

  RATION_BOTH void whole(std::int64_t row, std::int64_t head) const {
    const std::int64_t width = rotation.head_width;
    T* x = head_of(row, head);
    Real inverse = 1;
    if (!is_value(head)) {
      Real square = 0;
      for (std::int64_t i = 0; i < width; ++i) {
        const Real value = biased(row, head, i, x[i]);
        square += value * value;
      }
      inverse = 1 / std::sqrt(square / static_cast<Real>(width) + rotation.eps);
      rotation.inverses[row * 2 * rotation.heads + head] = inverse;
    }
    if (rotation.cosines == nullptr)
      for (std::int64_t i = 0; i < width; ++i)
        x[i] = static_cast<T>(biased(row, head, i, x[i]) * inverse);
    else
      for (std::int64_t j = 0; j < width / 2; ++j) turn<1>(row, head, j, inverse);
  }

  // Elements j … j+N-1 of a head and those half a head further, times `factor`.
  template <int N>
  RATION_BOTH void turn(std::int64_t row, std::int64_t head, std::int64_t j, Real factor) const {
    const std::int64_t half = rotation.head_width / 2, angle = rotation.angles(row) + j;
    T* x = head_of(row, head) + j;
    Pack<T, N> low = load<N>(x), high = load<N>(x + half);
    const Pack<Real, N> cosine = load<N>(rotation.cosines + angle);
    const Pack<Real, N> sine = load<N>(rotation.sines + angle);
    const bool turns = !is_value(head);
    for (int i = 0; i < N; ++i) {
      const Real a = biased(row, head, j + i, low.at[i]) * factor;
      const Real b = biased(row, head, j + i + half, high.at[i]) * factor;
      low.at[i] = static_cast<T>(turns ? a * cosine.at[i] - b * sine.at[i] : a);
      high.at[i] = static_cast<T>(turns ? b * cosine.at[i] + a * sine.at[i] : b);
    }
    store(low, x);
    store(high, x + half);
  }
};

// dprojected becomes the gradient before rotation and norm; `projected` holds what Rotate left. A
// rotation keeps inner products, so the norm's derivative inverse (d - x mean(d x)) is taken first.
template <class T>
struct RotateBackward {
  static constexpr int kThreads = 128;
  using Real = Wide<T>;

  Rows rows;
  Rotation<T> rotation;
  const T* projected = nullptr;
  T* dprojected = nullptr;

  std::int64_t blocks() const {
    if (!rotation.unit && rotation.cosines == nullptr) return 0;  // a bias leaves gradients alone
    return rotation.cells(rows, false).blocks();
  }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    const auto cells_of_head = static_cast<std::uint32_t>(rotation.cells_of_head());
    rotation.cells(rows, false).each(block, index, [&](std::int64_t row, std::int64_t cell) {
      const std::int64_t head = static_cast<std::uint32_t>(cell) / cells_of_head;
      const std::int64_t within = static_cast<std::uint32_t>(cell) % cells_of_head;
      if (rotation.unit)
        whole(row, head);
      else if (rotation.pack() > 1)
        turn<kPack<T>>(row, head, within * kPack<T>, 1, 0);
      else
        turn<1>(row, head, within, 1, 0);
    });
  }

 private:
  RATION_BOTH std::int64_t place(std::int64_t row, std::int64_t head) const {
    return (row * 3 * rotation.heads + head) * rotation.head_width;
  }

  RATION_BOTH void whole(std::int64_t row, std::int64_t head) const {
    const std::int64_t width = rotation.head_width;
    const T* x = projected + place(row, head);
    T* d = dprojected + place(row, head);
    Real dot = 0;
    for (std::int64_t i = 0; i < width; ++i) dot += widen(x[i]) * widen(d[i]);
    const Real along = dot / static_cast<Real>(width);
    const Real inverse = rotation.inverses[row * 2 * rotation.heads + head];
    if (rotation.cosines == nullptr)
      for (std::int64_t i = 0; i < width; ++i)
        d[i] = static_cast<T>(inverse * (widen(d[i]) - widen(x[i]) * along));
    else
      for (std::int64_t j = 0; j < width / 2; ++j) turn<1>(row, head, j, inverse, along);
  }

  template <int N>
  RATION_BOTH void turn(
      std::int64_t row, std::int64_t head, std::int64_t j, Real inverse, Real along) const {
    const std::int64_t half = rotation.head_width / 2, angle = rotation.angles(row) + j;
    const T* x = projected + place(row, head) + j;
    T* d = dprojected + place(row, head) + j;
    Pack<T, N> low = load<N>(d), high = load<N>(d + half), x_low{}, x_high{};
    if (rotation.unit) x_low = load<N>(x), x_high = load<N>(x + half);
    const Pack<Real, N> cosine = load<N>(rotation.cosines + angle);
    const Pack<Real, N> sine = load<N>(rotation.sines + angle);
    for (int i = 0; i < N; ++i) {
      const Real a = inverse * (widen(low.at[i]) - widen(x_low.at[i]) * along);
      const Real b = inverse * (widen(high.at[i]) - widen(x_high.at[i]) * along);
      low.at[i] = static_cast<T>(a * cosine.at[i] + b * sine.at[i]);
      high.at[i] = static_cast<T>(b * cosine.at[i] - a * sine.at[i]);
    }
    store(low, d);
    store(high, d + half);
  }
};

// joined [rows,3,C] = three arrays [rows,C], one behind the other in each row.
template <class T>
struct Join {
  static constexpr int kThreads = 128;

  std::int64_t rows = 0, width = 0;  // C
  const T* queries = nullptr;
  const T* keys = nullptr;
  const T* values = nullptr;
  T* joined = nullptr;

  std::int64_t blocks() const { return cells().blocks(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    cells().each(block, index, [&](std::int64_t row, std::int64_t i) {
      if (pack_of<T>(width) > 1)
        move<kPack<T>>(row, i);
      else
        move<1>(row, i);
    });
  }

 private:
  RATION_BOTH Cells cells() const { return {rows, width / pack_of<T>(width)}; }

  template <int N>
  RATION_BOTH void move(std::int64_t row, std::int64_t i) const {
    const std::int64_t from = row * width + i * N, to = row * 3 * width + i * N;
    store(load<N>(queries + from), joined + to);
    store(load<N>(keys + from), joined + to + width);
    store(load<N>(values + from), joined + to + 2 * width);
  }
};

}  // namespace ration::train::kernels
