#pragma once

// exp in a form that the compiler turns into vector instructions.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ration::train::cpu {

// e^x within 2 units in the last place on [-87, 88], clamped outside of it; NaN stays NaN. Range
// reduction to x = n ln 2 + r with ln 2 in two parts, then the Taylor polynomial of degree 7, whose
// remainder for |r| <= ln(2)/2 lies below 6e-9.
[[gnu::always_inline]] inline float exponential(float x) {
  constexpr float kLog2E = 1.44269504F, kHigh = 0.693359375F, kLow = -2.12194440e-4F;
  const float clamped = std::min(std::max(x, -87.0F), 88.0F);
  const float scaled = clamped * kLog2E;
  const auto n = static_cast<std::int32_t>(scaled + (scaled < 0 ? -0.5F : 0.5F));
  const auto whole = static_cast<float>(n);
  const float r = (clamped - whole * kHigh) - whole * kLow;
  float sum = 1.0F / 5040;
  sum = sum * r + 1.0F / 720;
  sum = sum * r + 1.0F / 120;
  sum = sum * r + 1.0F / 24;
  sum = sum * r + 1.0F / 6;
  sum = sum * r + 0.5F;
  sum = sum * r + 1.0F;
  sum = sum * r + 1.0F;
  return sum * std::bit_cast<float>((n + 127) << 23);
}

// Double precision is for reference runs: the library's own.
[[gnu::always_inline]] inline double exponential(double x) { return std::exp(x); }

}  // namespace ration::train::cpu
