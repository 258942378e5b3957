#include "train/cpu/product.h"

#include <algorithm>
#include <cstring>

namespace ration::train::cpu {
namespace {

// Registers of a generation of processors.
struct Avx512 {
  static constexpr int kBytes = 64;
  static constexpr int kRegisters = 32;
};
struct Avx2 {
  static constexpr int kBytes = 32;
  static constexpr int kRegisters = 16;
};
struct Plain {
  static constexpr int kBytes = 16;
  static constexpr int kRegisters = 16;
};

template <class Real, class Machine>
struct Registers {
  using Vector __attribute__((vector_size(Machine::kBytes))) = Real;
  static constexpr std::int64_t kCount = Machine::kBytes / sizeof(Real);
};

// What part of its vectors a panel touches: all of them; of one vector, the last numbers only (the
// others belong to the panel before); or of one vector the first only, as the rows hold no more.
enum class Part { whole, last, first };

template <class Real, class Machine, Part kPart>
[[gnu::always_inline]] inline void load(const Real* from,
                                        std::int64_t columns,
                                        typename Registers<Real, Machine>::Vector& vector) {
  if constexpr (kPart == Part::first) {
    vector = typename Registers<Real, Machine>::Vector{};
    std::memcpy(&vector, from, static_cast<std::size_t>(columns) * sizeof(Real));
  } else {
    std::memcpy(&vector, from, sizeof vector);
  }
}

template <class Real, class Machine, Part kPart>
[[gnu::always_inline]] inline void save(const typename Registers<Real, Machine>::Vector& vector,
                                        std::int64_t columns,
                                        Real* to) {
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(Real);
  const std::int64_t skipped = kPart == Part::last ? Registers<Real, Machine>::kCount - columns : 0;
  if constexpr (kPart == Part::whole)
    std::memcpy(to, &vector, sizeof vector);
  else
    std::memcpy(to + skipped, reinterpret_cast<const Real*>(&vector) + skipped, bytes);
}

// Walks down the columns of kRows rows of a. One pointer for four rows, as strides of one, two and
// three rows are as many as there are registers for; where a is transposed the rows are neighbours.
template <class Real, int kRows, bool kNeighbours>
struct LeftColumn {
  static constexpr int kGroup = 4;
  const Real* at[(kRows + kGroup - 1) / kGroup];
  std::int64_t stride;

  [[gnu::always_inline]] explicit LeftColumn(const Left<Real>& a) : stride(a.row_stride) {
    for (int g = 0; g * kGroup < kRows; ++g) at[g] = a.data + g * kGroup * stride;
  }
  [[gnu::always_inline]] Real row(int r) const {
    return kNeighbours ? at[0][r] : at[r / kGroup][r % kGroup * stride];
  }
  [[gnu::always_inline]] void advance(std::int64_t columns) {
    for (const Real*& pointer : at) pointer += columns;
  }
};

// kRows x (kVectors * lanes) elements of c, held in registers while k runs; of a partial vector,
// `columns` in each row.
template <class Real, class Machine, int kRows, int kVectors, Part kPart, bool kNeighbours>
[[gnu::always_inline]] inline void block(std::int64_t k,
                                         const Left<Real>& a,
                                         RowMajor<const Real> b,
                                         RowMajor<Real> c,
                                         std::int64_t columns,
                                         Store store) {
  using Vector = typename Registers<Real, Machine>::Vector;
  constexpr std::int64_t lanes = Registers<Real, Machine>::kCount;
  Vector sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Vector{};
  LeftColumn<Real, kRows, kNeighbours> left(a);
  for (std::int64_t i = 0; i < k; ++i) {
    Vector right[kVectors];
    for (int v = 0; v < kVectors; ++v)
      load<Real, Machine, kPart>(b.data + v * lanes, columns, right[v]);
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left.row(r) * right[v];
    left.advance(a.column_stride);
    b.data += b.stride;
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) {
      Real* to = c.data + r * c.stride + v * lanes;
      if (store == Store::add) {
        Vector old;
        load<Real, Machine, kPart>(to, columns, old);
        sum[r][v] += old;
      }
      save<Real, Machine, kPart>(sum[r][v], columns, to);
    }
}

template <class Real, class Machine, int kRows, int kVectors, Part kPart, bool kNeighbours>
[[gnu::always_inline]] inline void rows_of_panel(std::int64_t m,
                                                 std::int64_t k,
                                                 const Left<Real>& a,
                                                 RowMajor<const Real> b,
                                                 RowMajor<Real> c,
                                                 std::int64_t columns,
                                                 Store store) {
  std::int64_t row = 0;
  const auto left = [&] {
    return Left<Real>{a.data + row * a.row_stride, a.row_stride, a.column_stride};
  };
  const auto out = [&] { return RowMajor<Real>{c.data + row * c.stride, c.stride}; };
  for (; row + kRows <= m; row += kRows)
    block<Real, Machine, kRows, kVectors, kPart, kNeighbours>(k, left(), b, out(), columns, store);
  for (; row < m; ++row)
    block<Real, Machine, 1, kVectors, kPart, true>(k, left(), b, out(), columns, store);
}

// All rows of a panel of kVectors vectors of columns.
template <class Real, class Machine, int kRows, int kVectors, Part kPart = Part::whole>
[[gnu::always_inline]] inline void column_panel(std::int64_t m,
                                                std::int64_t k,
                                                const Left<Real>& a,
                                                RowMajor<const Real> b,
                                                RowMajor<Real> c,
                                                Store store,
                                                std::int64_t columns = 0) {
  if (a.row_stride == 1)
    rows_of_panel<Real, Machine, kRows, kVectors, kPart, true>(m, k, a, b, c, columns, store);
  else
    rows_of_panel<Real, Machine, kRows, kVectors, kPart, false>(m, k, a, b, c, columns, store);
}

template <class Real>
struct Operands {
  std::int64_t m, n, k;
  Left<Real> a;
  RowMajor<const Real> b;
  RowMajor<Real> c;
  Store store;
};

// The columns from `done` on, fewer than a vector holds.
template <class Real, class Machine, int kRows>
[[gnu::always_inline]] inline void last_columns(const Operands<Real>& o, std::int64_t done) {
  const std::int64_t columns = o.n - done;
  if (columns == 0) return;
  const std::int64_t shift = done == 0 ? 0 : o.n - Registers<Real, Machine>::kCount;
  const RowMajor<const Real> b{o.b.data + shift, o.b.stride};
  const RowMajor<Real> c{o.c.data + shift, o.c.stride};
  if (done == 0)
    column_panel<Real, Machine, kRows, 1, Part::first>(o.m, o.k, o.a, b, c, o.store, columns);
  else
    column_panel<Real, Machine, kRows, 1, Part::last>(o.m, o.k, o.a, b, c, o.store, columns);
}

// Panels of two vectors, with 32 registers one of three where an odd number of vectors remains, and
// narrow ones of more rows: each keeps enough sums in flight to hide the latency of a multiply-add.
template <class Real, class Machine>
[[gnu::always_inline]] inline void all_panels(const Operands<Real>& o) {
  constexpr std::int64_t lanes = Registers<Real, Machine>::kCount;
  constexpr bool many = Machine::kRegisters >= 32;
  constexpr int rows = many ? 8 : 6, rows_of_narrow = 2 * rows;
  std::int64_t column = 0;
  const auto at = [&](auto matrix) {
    matrix.data += column;
    return matrix;
  };
  if (many && o.n / lanes % 2 == 1 && o.n / lanes >= 3) {
    column_panel<Real, Machine, rows, 3>(o.m, o.k, o.a, at(o.b), at(o.c), o.store);
    column += 3 * lanes;
  }
  for (; column + 2 * lanes <= o.n; column += 2 * lanes)
    column_panel<Real, Machine, rows, 2>(o.m, o.k, o.a, at(o.b), at(o.c), o.store);
  for (; column + lanes <= o.n; column += lanes)
    column_panel<Real, Machine, rows_of_narrow, 1>(o.m, o.k, o.a, at(o.b), at(o.c), o.store);
  last_columns<Real, Machine, rows_of_narrow>(o, column);
}

#if defined(__x86_64__)
template <class Real>
[[gnu::target("arch=x86-64-v4")]] void avx512_product(const Operands<Real>& o) {
  all_panels<Real, Avx512>(o);
}
template <class Real>
[[gnu::target("arch=x86-64-v3")]] void avx2_product(const Operands<Real>& o) {
  all_panels<Real, Avx2>(o);
}
#endif
template <class Real>
void plain_product(const Operands<Real>& o) {
  all_panels<Real, Plain>(o);
}

template <class Real>
auto best_product() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return &avx512_product<Real>;
  if (__builtin_cpu_supports("x86-64-v3")) return &avx2_product<Real>;
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
