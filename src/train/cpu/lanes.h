#pragma once

// Vectors of one cache line as the compiler knows them, and how a function is compiled for several
// generations of processors, of which the program picks one when it starts.

#include <cstdint>
#include <cstring>

namespace ration::train::cpu {

template <class Real>
struct Lanes;
template <>
struct Lanes<float> {
  using Vector __attribute__((vector_size(64))) = float;
  static constexpr std::int64_t kCount = 16;
};
template <>
struct Lanes<double> {
  using Vector __attribute__((vector_size(64))) = double;
  static constexpr std::int64_t kCount = 8;
};

template <class Real>
constexpr std::int64_t rounded_up(std::int64_t n) {
  constexpr std::int64_t lanes = Lanes<Real>::kCount;
  return (n + lanes - 1) / lanes * lanes;
}

// The largest of values[0 … n-1], n > 0; unspecified when one of them is NaN.
template <class Real>
[[gnu::always_inline]] inline Real largest_of(const Real* values, std::int64_t n) {
  using Vector __attribute__((vector_size(16))) = Real;  // every processor has these
  constexpr std::int64_t lanes = 16 / sizeof(Real), at_once = 4;
  Real largest = values[0];
  std::int64_t i = 0;
  if (n >= at_once * lanes) {
    Vector best[at_once];
    std::memcpy(best, values, sizeof best);
    for (i = at_once * lanes; i + at_once * lanes <= n; i += at_once * lanes)
      for (std::int64_t v = 0; v < at_once; ++v) {
        Vector next;
        std::memcpy(&next, values + i + v * lanes, sizeof next);
        best[v] = next > best[v] ? next : best[v];
      }
    for (const Vector& part : best)
      for (std::int64_t lane = 0; lane < lanes; ++lane)
        largest = part[lane] > largest ? part[lane] : largest;
  }
  for (; i < n; ++i) largest = values[i] > largest ? values[i] : largest;
  return largest;
}

// Half-open range of rows, tokens or elements.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

}  // namespace ration::train::cpu
