#include "train/cpu/product.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace ration::train::cpu {
namespace {

constexpr std::int64_t kPanelBytes = 16 << 10;  // of b that lie together: half a first cache
constexpr std::int64_t kLeftRows =
    288;  // of a that lie together: with kPanelBytes half a second cache
constexpr std::int64_t kPackedRows = 48;   // from here on copying b pays …
constexpr std::int64_t kPackedDepth = 32;  // … and k is long enough for it

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
// `columns` in each row. With kGoOn the sums begin with what c holds, from an earlier part of k.
template <class Real,
          class Machine,
          int kRows,
          int kVectors,
          Part kPart,
          bool kNeighbours,
          bool kGoOn = false>
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
    for (int v = 0; v < kVectors; ++v)
      if constexpr (kGoOn)
        load<Real, Machine, kPart>(c.data + r * c.stride + v * lanes, columns, sum[r][v]);
      else
        sum[r][v] = Vector{};
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

template <class Real,
          class Machine,
          int kRows,
          int kVectors,
          Part kPart,
          bool kNeighbours,
          bool kGoOn = false>
[[gnu::always_inline]] inline void rows_of_panel(std::int64_t m,
                                                 std::int64_t k,
                                                 const Left<Real>& a,
                                                 RowMajor<const Real> b,
                                                 RowMajor<Real> c,
                                                 std::int64_t columns,
                                                 Store store) {
  std::int64_t row = 0;
  const auto left = [&]() __attribute__((always_inline)) {
    return Left<Real>{a.data + row * a.row_stride, a.row_stride, a.column_stride};
  };
  const auto out = [&]() __attribute__((always_inline)) {
    return RowMajor<Real>{c.data + row * c.stride, c.stride};
  };
  const auto all_of = [&]<int kCount>(std::integral_constant<int, kCount>)
      __attribute__((always_inline)) {
    for (; row + kCount <= m; row += kCount)
      block<Real, Machine, kCount, kVectors, kPart, kNeighbours || kCount == 1, kGoOn>(
          k, left(), b, out(), columns, store);
  };
  all_of(std::integral_constant<int, kRows>{});
  // What remains in blocks as large as it allows: one row at a time would wait for its own sums.
  if constexpr (kRows > 8) all_of(std::integral_constant<int, 8>{});
  if constexpr (kRows > 4) all_of(std::integral_constant<int, 4>{});
  if constexpr (kRows > 2) all_of(std::integral_constant<int, 2>{});
  all_of(std::integral_constant<int, 1>{});
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
  const auto at = [&](auto matrix) __attribute__((always_inline)) {
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

// `whole` cut into as few equal parts of at most `most` as there must be, each a multiple of `step`
// (but the last): the length of one.
inline std::int64_t equal_part(std::int64_t whole, std::int64_t most, std::int64_t step) {
  const std::int64_t parts = (whole + most - 1) / most;
  return (whole + parts * step - 1) / (parts * step) * step;
}

// The same sums in the same order, for operands that leave the first cache: of each part of k, the
// columns of b that a panel needs, and a where it is transposed, are copied together first.
template <class Real, class Machine>
[[gnu::always_inline]] inline void packed_panels(const Operands<Real>& o) {
  constexpr std::int64_t width = 2 * Registers<Real, Machine>::kCount;
  constexpr int rows = Machine::kRegisters >= 32 ? 8 : 6;
  constexpr std::int64_t most_depth = kPanelBytes / (width * sizeof(Real));
  constexpr std::int64_t most_height = kLeftRows / rows * rows;
  alignas(64) static thread_local Real left[most_height * most_depth];
  alignas(64) static thread_local Real right[width * most_depth];
  const bool transposed = o.a.row_stride == 1;
  const std::int64_t whole = o.n / width * width;
  const std::int64_t depth = equal_part(o.k, most_depth, 1);
  const std::int64_t height = equal_part(o.m, most_height, rows);
  for (std::int64_t k0 = 0; k0 < o.k; k0 += depth) {
    const std::int64_t k = std::min(depth, o.k - k0);
    const bool go_on = o.store == Store::replace && k0 > 0;
    for (std::int64_t m0 = 0; m0 < o.m; m0 += height) {
      const std::int64_t m = std::min(height, o.m - m0), blocks = m / rows, rest = m % rows;
      const Real* a = o.a.data + m0 * o.a.row_stride + k0 * o.a.column_stride;
      if (transposed)
        for (std::int64_t i = 0; i < k; ++i)
          for (std::int64_t b = 0; b < blocks; ++b)
            std::memcpy(left + (b * k + i) * rows,
                        a + b * rows + i * o.a.column_stride,
                        rows * sizeof(Real));
      for (std::int64_t n0 = 0; n0 < whole; n0 += width) {
        for (std::int64_t i = 0; i < k; ++i)
          std::memcpy(
              right + i * width, o.b.data + (k0 + i) * o.b.stride + n0, width * sizeof(Real));
        const RowMajor<const Real> panel{right, width};
        RowMajor<Real> c{o.c.data + m0 * o.c.stride + n0, o.c.stride};
        const auto rows_with = [&]<bool kNeighbours, bool kGoOn>(std::bool_constant<kNeighbours>,
                                                                 std::bool_constant<kGoOn>)
            __attribute__((always_inline)) {
          for (std::int64_t b = 0; b < blocks; ++b, c.data += rows * c.stride) {
            const Left<Real> part =
                kNeighbours
                    ? Left<Real>{left + b * k * rows, 1, rows}
                    : Left<Real>{a + b * rows * o.a.row_stride, o.a.row_stride, o.a.column_stride};
            block<Real, Machine, rows, 2, Part::whole, kNeighbours, kGoOn>(
                k, part, panel, c, 0, o.store);
          }
          rows_of_panel<Real, Machine, 4, 2, Part::whole, kNeighbours, kGoOn>(
              rest,
              k,
              {a + (m - rest) * o.a.row_stride, o.a.row_stride, o.a.column_stride},
              panel,
              c,
              0,
              o.store);
        };
        using Yes = std::true_type;
        using No = std::false_type;
        if (transposed)
          go_on ? rows_with(Yes(), Yes()) : rows_with(Yes(), No());
        else
          go_on ? rows_with(No(), Yes()) : rows_with(No(), No());
      }
    }
  }
  if (whole == o.n) return;
  all_panels<Real, Machine>({o.m,
                             o.n - whole,
                             o.k,
                             o.a,
                             {o.b.data + whole, o.b.stride},
                             {o.c.data + whole, o.c.stride},
                             o.store});
}

// Copying pays where it is used by enough rows.
template <class Real, class Machine>
[[gnu::always_inline]] inline void best_panels(const Operands<Real>& o) {
  if (o.m >= kPackedRows && o.k >= kPackedDepth)
    packed_panels<Real, Machine>(o);
  else
    all_panels<Real, Machine>(o);
}

#if defined(__x86_64__)
template <class Real>
[[gnu::target("arch=x86-64-v4")]] void avx512_product(const Operands<Real>& o) {
  best_panels<Real, Avx512>(o);
}
template <class Real>
[[gnu::target("arch=x86-64-v3")]] void avx2_product(const Operands<Real>& o) {
  best_panels<Real, Avx2>(o);
}
#endif
template <class Real>
void plain_product(const Operands<Real>& o) {
  best_panels<Real, Plain>(o);
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

std::string_view vectors() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return "AVX-512";
  if (__builtin_cpu_supports("x86-64-v3")) return "AVX2";
  return "plain x86-64";
#else
  return "plain";
#endif
}

bool has_wide_vectors() { return vectors().starts_with("AVX"); }

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
