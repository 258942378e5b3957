#include "train/cpu/product.h"

#include <algorithm>

#include "train/cpu/lanes.h"

namespace ration::train::cpu {
namespace {

// kRows x (kVectors * lanes) elements of c, held in registers while k runs. The last vector may
// hold fewer columns than it has lanes.
template <class Real, int kRows, int kVectors>
[[gnu::always_inline]] inline void block(std::int64_t k,
                                         Left<Real> a,
                                         RowMajor<const Real> b,
                                         RowMajor<Real> c,
                                         std::int64_t columns,
                                         Store store) {
  using Vector = typename Lanes<Real>::Vector;
  constexpr std::int64_t lanes = Lanes<Real>::kCount;
  const bool whole = columns == kVectors * lanes;
  const auto width = [&](int v) {
    return static_cast<std::size_t>(whole ? lanes : std::min(lanes, columns - v * lanes)) *
           sizeof(Real);
  };
  Vector sum[kRows][kVectors] = {};
  for (std::int64_t i = 0; i < k; ++i) {
    Vector right[kVectors] = {};
    for (int v = 0; v < kVectors; ++v) {
      const Real* from = b.data + i * b.stride + v * lanes;
      if (whole)
        std::memcpy(&right[v], from, sizeof(Vector));
      else
        std::memcpy(&right[v], from, width(v));
    }
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v)
        sum[r][v] += a.data[r * a.row_stride + i * a.column_stride] * right[v];
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) {
      Real* to = c.data + r * c.stride + v * lanes;
      if (store == Store::add) {
        Vector old = {};
        std::memcpy(&old, to, whole ? sizeof(Vector) : width(v));
        sum[r][v] += old;
      }
      std::memcpy(to, &sum[r][v], whole ? sizeof(Vector) : width(v));
    }
}

template <class Real, int kRows, int kVectors>
[[gnu::always_inline]] inline void column_panel(std::int64_t m,
                                                std::int64_t k,
                                                Left<Real> a,
                                                RowMajor<const Real> b,
                                                RowMajor<Real> c,
                                                std::int64_t columns,
                                                Store store) {
  const auto rows_from = [&](std::int64_t row) {
    return std::pair(Left<Real>{a.data + row * a.row_stride, a.row_stride, a.column_stride},
                     RowMajor<Real>{c.data + row * c.stride, c.stride});
  };
  std::int64_t row = 0;
  for (; row + kRows <= m; row += kRows) {
    const auto [left, out] = rows_from(row);
    block<Real, kRows, kVectors>(k, left, b, out, columns, store);
  }
  for (; row < m; ++row) {
    const auto [left, out] = rows_from(row);
    block<Real, 1, kVectors>(k, left, b, out, columns, store);
  }
}

template <class Real>
struct Operands {
  std::int64_t m, n, k;
  Left<Real> a;
  RowMajor<const Real> b;
  RowMajor<Real> c;
  Store store;
};

// Panels of two vectors, one of three where an odd number of vectors remains, and narrow ones of
// more rows: each keeps enough sums in flight to hide the latency of a multiply-add.
template <class Real>
[[gnu::always_inline]] inline void wide_panels(const Operands<Real>& o) {
  constexpr std::int64_t lanes = Lanes<Real>::kCount;
  std::int64_t column = 0;
  const auto at = [&](auto matrix) {
    matrix.data += column;
    return matrix;
  };
  if (o.n / lanes % 2 == 1 && o.n / lanes >= 3) {
    column_panel<Real, 8, 3>(o.m, o.k, o.a, at(o.b), at(o.c), 3 * lanes, o.store);
    column += 3 * lanes;
  }
  for (; column + 2 * lanes <= o.n; column += 2 * lanes)
    column_panel<Real, 8, 2>(o.m, o.k, o.a, at(o.b), at(o.c), 2 * lanes, o.store);
  for (; column < o.n; column += lanes)
    column_panel<Real, 16, 1>(
        o.m, o.k, o.a, at(o.b), at(o.c), std::min(lanes, o.n - column), o.store);
}

template <class Real, int kRows>
[[gnu::always_inline]] inline void narrow_panels(const Operands<Real>& o) {
  constexpr std::int64_t lanes = Lanes<Real>::kCount;
  for (std::int64_t column = 0; column < o.n; column += lanes)
    column_panel<Real, kRows, 1>(o.m,
                                 o.k,
                                 o.a,
                                 {o.b.data + column, o.b.stride},
                                 {o.c.data + column, o.c.stride},
                                 std::min(lanes, o.n - column),
                                 o.store);
}

// The register file decides the block: 16 to 24 accumulators of 64 bytes with AVX-512, 6 (that is
// 12 registers) with AVX2.
#if defined(__x86_64__)
template <class Real>
[[gnu::target("arch=x86-64-v4")]] void wide_product(const Operands<Real>& o) {
  wide_panels(o);
}
template <class Real>
[[gnu::target("arch=x86-64-v3")]] void middle_product(const Operands<Real>& o) {
  narrow_panels<Real, 6>(o);
}
#endif
template <class Real>
void plain_product(const Operands<Real>& o) {
  narrow_panels<Real, 3>(o);
}

template <class Real>
auto best_product() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return &wide_product<Real>;
  if (__builtin_cpu_supports("x86-64-v3")) return &middle_product<Real>;
#endif
  return &plain_product<Real>;
}

}  // namespace

template <class Real>
void product(std::int64_t m,
             std::int64_t n,
             std::int64_t k,
             Left<Real> a,
             RowMajor<const Real> b,
             RowMajor<Real> c,
             Store store) {
  static const auto best = best_product<Real>();
  best({m, n, k, a, b, c, store});
}

template <class Real>
void transpose(
    std::int64_t rows, std::int64_t columns, const Real* in, Real* out, std::int64_t stride) {
  constexpr std::int64_t tile = 16;
  for (std::int64_t r0 = 0; r0 < rows; r0 += tile)
    for (std::int64_t c0 = 0; c0 < columns; c0 += tile)
      for (std::int64_t c = c0; c < std::min(columns, c0 + tile); ++c)
        for (std::int64_t r = r0; r < std::min(rows, r0 + tile); ++r)
          out[c * stride + r] = in[r * columns + c];
}

template void product<float>(std::int64_t,
                             std::int64_t,
                             std::int64_t,
                             Left<float>,
                             RowMajor<const float>,
                             RowMajor<float>,
                             Store);
template void product<double>(std::int64_t,
                              std::int64_t,
                              std::int64_t,
                              Left<double>,
                              RowMajor<const double>,
                              RowMajor<double>,
                              Store);
template void transpose<float>(std::int64_t, std::int64_t, const float*, float*, std::int64_t);
template void transpose<double>(std::int64_t, std::int64_t, const double*, double*, std::int64_t);

}  // namespace ration::train::cpu
