#pragma once

// The language that the kernels are written in. A kernel is a struct of sizes and raw pointers
// whose call operator is the work of one block of threads. It speaks to a block through three
// operations, and they exist twice: for a thread block of a GPU (cuda_block.cuh), and as loops of
// one processor that do the same operations in the same order (host_block.h). So both run one
// source, and what a test without a GPU sees is what the GPU computes, up to the rounding of fused
// multiply-adds and of exp, tanh and erf.
//
//   block.each(n, f)                      f(i) for i = 0 … n-1; thread t takes t, t + threads, …
//   block.reduce(n, none, add, merge)     add(i, sum) on a sum a thread, then all sums merged in a
//                                         fixed order; every thread gets the result
//   block.scratch<Real>()                 scratch_bytes() of memory that the block shares
//   block.wait()                          what one thread wrote is seen by the others afterwards
//
// Thread t always gets the same i, so that values which it wrote for i need no wait() before it
// reads them again. A kernel has
//
//   static constexpr int kThreads         of a block: a multiple of 32
//   std::int64_t blocks() const           0: nothing to do
//   std::int64_t scratch_bytes() const
//
// Shapes: rows are tokens, those of run 0 first; C width, F hidden width, H heads, D head width,
// T positions, V vocabulary. Everything is row-major and contiguous unless a stride is named.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

// nvcc must be told which functions exist on both sides; there is no other way to say it.
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#define RATION_BOTH __host__ __device__
#else
#define RATION_BOTH
#endif

namespace ration::train::kernels {

// The upper half of a float, rounded to nearest, ties to even; the layout of every library's bf16.
struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  RATION_BOTH explicit BFloat16(float value) {
#if defined(__CUDA_ARCH__)
    const __nv_bfloat16 rounded = __float2bfloat16_rn(value);
    bits = __bfloat16_as_ushort(rounded);
#else
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    const bool is_nan = (word & 0x7FFFFFFFU) > 0x7F800000U;
    word += 0x7FFFU + ((word >> 16) & 1U);
    bits = is_nan ? std::uint16_t{0x7FFF} : static_cast<std::uint16_t>(word >> 16);
#endif
  }
  RATION_BOTH explicit operator float() const {
    const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
  }
};

// What sums, norms, losses and the residual stream are kept in, beside activations of type T.
template <class T>
struct WideOf {
  using Type = float;
};
template <>
struct WideOf<double> {
  using Type = double;
};
template <class T>
using Wide = typename WideOf<T>::Type;

template <class T>
RATION_BOTH inline Wide<T> widen(T value) {
  return static_cast<Wide<T>>(value);
}

// e^x for activations of type T: beside bf16 a GPU's own instruction is exact enough (2e-6 of the
// value where |x| < 20).
template <class T>
RATION_BOTH inline Wide<T> exponential(Wide<T> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, BFloat16>) return __expf(x);
#endif
  return std::exp(x);
}

// N neighbours that one instruction moves. Rows of a multiple of N elements stay aligned to it.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};
template <class T>
inline constexpr int kPack = 16 /
                             static_cast<int>(sizeof(T));  // the widest load of a GPU: 16 bytes

template <int N, class T>
RATION_BOTH inline Pack<T, N> load(const T* from) {
#if defined(__CUDA_ARCH__)
  return *reinterpret_cast<const Pack<T, N>*>(from);
#else
  Pack<T, N> pack;
  std::memcpy(&pack, from, sizeof pack);
  return pack;
#endif
}
template <int N, class T>
RATION_BOTH inline void store(const Pack<T, N>& pack, T* to) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
#else
  std::memcpy(to, &pack, sizeof pack);
#endif
}

// The widest pack of T that rows of `width` divide into.
template <class T>
RATION_BOTH constexpr int pack_of(std::int64_t width) {
  return width % kPack<T> == 0 ? kPack<T> : 1;
}

RATION_BOTH constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
RATION_BOTH constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Calls body with the widest packs that still give each of `threads` threads one of the row.
template <int N>
struct PacksOf {
  static constexpr int kElements = N;
};
template <class T, class Body>
RATION_BOTH void in_fitting_packs(std::int64_t width, std::int64_t threads, Body body) {
  const auto fit = [&](int n) { return width % n == 0 && width >= n * threads; };
  if constexpr (kPack<T> >= 8)
    if (fit(8)) return body(PacksOf<8>{});
  if constexpr (kPack<T> >= 4)
    if (fit(4)) return body(PacksOf<4>{});
  if (fit(2)) return body(PacksOf<2>{});
  body(PacksOf<1>{});
}

// Rows of several runs that are trained side by side, those of one run behind each other.
struct Rows {
  std::int64_t count = 0;                                    // of all runs
  std::int64_t per_run = 1;                                  // count = runs * per_run
  RATION_BOTH std::int64_t run_of(std::int64_t row) const {  // fewer than 2^32, which divide faster
    return static_cast<std::uint32_t>(row) / static_cast<std::uint32_t>(per_run);
  }
  RATION_BOTH std::int64_t runs() const { return per_run == 0 ? 0 : count / per_run; }
};

// Sums that a thread keeps side by side in one reduction.
template <class Real, int N>
struct Sums {
  Real at[N];
};

template <class Real, int N, class Block, class Add>
RATION_BOTH Sums<Real, N> sums(const Block& block, std::int64_t n, Add add) {
  return block.reduce(n, Sums<Real, N>{}, add, [](const Sums<Real, N>& a, const Sums<Real, N>& b) {
    Sums<Real, N> both;
    for (int i = 0; i < N; ++i) both.at[i] = a.at[i] + b.at[i];
    return both;
  });
}

// Where the rows of one run are cut into parts whose sums are added later: part p of a run has the
// rows begin(p) … begin(p+1)-1. The cuts depend on the rows of a run alone, so that a run gets the
// same sums alone and beside others.
struct Parts {
  std::int64_t rows = 0;   // of a run
  std::int64_t count = 1;  // of a run
  RATION_BOTH std::int64_t begin(std::int64_t part) const { return rows * part / count; }
};
// 8 rows a part are enough to hide what a part costs; beyond 2048 parts a GPU has no more room.
inline Parts parts_of(std::int64_t rows) {
  const std::int64_t wanted = ceil_div(rows, 8);
  return {.rows = rows, .count = wanted < 1 ? 1 : smaller(wanted, 2048)};
}

// The cells of a table, dealt to blocks evenly and in order however short a row is.
struct Cells {
  static constexpr std::int64_t kOfBlock = 512;

  std::int64_t rows = 0, per_row = 1;  // less than 2^31 of a row

  std::int64_t blocks() const { return ceil_div(rows * per_row, kOfBlock); }

  // body(row, cell of the row) for the cells of block `index`.
  template <class Block, class Body>
  RATION_BOTH void each(const Block& block, std::int64_t index, Body body) const {
    const std::int64_t first = index * kOfBlock, row = first / per_row;
    // Divisions of 32 bits are several times faster on a GPU.
    const auto begin = static_cast<std::uint32_t>(first - row * per_row);
    const auto length = static_cast<std::uint32_t>(per_row);
    block.each(smaller(kOfBlock, rows * per_row - first), [&](std::int64_t i) {
      const std::uint32_t cell = begin + static_cast<std::uint32_t>(i);
      body(row + cell / length, static_cast<std::int64_t>(cell % length));
    });
  }
};

}  // namespace ration::train::kernels
