#include "merge/numbers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "merge/cholesky.h"
#include "merge/philox.h"

namespace ration::merge {
namespace {

using checkpoint::DType;

double value_of(DType dtype, std::uint16_t bits) {
  double value = 0;
  widen(dtype, reinterpret_cast<const std::byte*>(&bits), 0, {&value, 1});
  return value;
}

std::uint16_t bits_of(DType dtype, double value) {
  std::uint16_t bits = 0;
  narrow(dtype, {&value, 1}, 0, reinterpret_cast<std::byte*>(&bits));
  return bits;
}

// The number that a pattern stands for, from the definition of binary formats.
double by_definition(std::uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

TEST(Numbers, EveryPatternOf16BitsHasItsDefinedValue) {
  for (unsigned pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    for (const auto& [dtype, exponent, mantissa] :
         {std::tuple{DType::f16, 5, 10}, std::tuple{DType::bf16, 8, 7}}) {
      const double expected = by_definition(bits, exponent, mantissa);
      const double found = value_of(dtype, bits);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(found)) << pattern;
        continue;
      }
      ASSERT_EQ(found, expected) << pattern;
      ASSERT_EQ(std::signbit(found), std::signbit(expected)) << pattern;
      if (std::isfinite(expected)) {
        ASSERT_EQ(bits_of(dtype, expected), bits) << "back again";
      }
    }
  }
}

// Rounds by a search among all positive patterns of a format.
std::uint16_t nearest_even(DType dtype, double value) {
  const std::uint16_t last = dtype == DType::f16 ? 0x7bff : 0x7f7f;
  std::uint16_t low = 0;  // the largest not above value
  for (int step = 1 << 14; step > 0; step /= 2)
    if (low + step <= last && value_of(dtype, static_cast<std::uint16_t>(low + step)) <= value)
      low = static_cast<std::uint16_t>(low + step);
  if (low == last) return low;
  const auto high = static_cast<std::uint16_t>(low + 1);
  const long double below = static_cast<long double>(value) - value_of(dtype, low);
  const long double above = static_cast<long double>(value_of(dtype, high)) - value;
  if (below != above) return below < above ? low : high;
  return low % 2 == 0 ? low : high;
}

TEST(Numbers, DoublesAreRoundedOnceToTheNearestEven) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> mantissa(1, 2);
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const int lowest = dtype == DType::f16 ? -27 : -136, highest = dtype == DType::f16 ? 14 : 126;
    std::uniform_int_distribution<int> exponent(lowest, highest);
    for (int i = 0; i < 20000; ++i) {
      const double value = std::ldexp(mantissa(random), exponent(random));
      ASSERT_EQ(bits_of(dtype, value), nearest_even(dtype, value)) << value;
      ASSERT_EQ(bits_of(dtype, -value), nearest_even(dtype, value) | 0x8000) << value;
    }
  }
}

TEST(Numbers, HalfwayAndALittleMoreGoesUpAlthoughF32WouldHideIt) {
  // 1 + 2^-11 lies between two numbers of f16; 2^-40 more is lost in f32.
  EXPECT_EQ(value_of(DType::f16, bits_of(DType::f16, 1 + 0x1p-11)), 1);
  EXPECT_EQ(value_of(DType::f16, bits_of(DType::f16, 1 + 0x1p-11 + 0x1p-40)), 1 + 0x1p-10);
  EXPECT_EQ(value_of(DType::bf16, bits_of(DType::bf16, 1 + 0x1p-8)), 1);
  EXPECT_EQ(value_of(DType::bf16, bits_of(DType::bf16, 1 + 0x1p-8 + 0x1p-40)), 1 + 0x1p-7);
}

TEST(Numbers, LimitsAreWhereRoundingReachesInfinity) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const double limit = overflow_limit(dtype);
    EXPECT_TRUE(std::isfinite(value_of(dtype, bits_of(dtype, std::nextafter(limit, 0)))));
    EXPECT_TRUE(std::isinf(value_of(dtype, bits_of(dtype, limit))));
  }
  const double limit = overflow_limit(DType::f32);
  EXPECT_TRUE(std::isfinite(static_cast<float>(std::nextafter(limit, 0))));
  EXPECT_TRUE(std::isinf(static_cast<float>(limit)));
}

TEST(Numbers, AllBelowSeesEachPlace) {
  std::vector<double> numbers(21, 1);
  EXPECT_TRUE(all_below(numbers, 2));
  for (double& number : numbers) {
    for (const double bad : {2.0, -3.0, std::nan("")}) {
      number = bad;
      EXPECT_FALSE(all_below(numbers, 2));
    }
    number = 1;
  }
}

TEST(Philox, GivesThePublishedAnswers) {  // kat_vectors of Random123
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// A random positive definite matrix and what it makes of known vectors.
TEST(Cholesky, SolvesWhatWasMultiplied) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (const std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{64}, std::size_t{150}}) {
    const std::size_t m = 3, rows = n + 4;
    std::vector<double> x(rows * n), matrix(n * n), truth(n * m), right(n * m);
    for (double& number : x) number = normal(random);
    for (double& number : truth) number = normal(random);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t a = 0; a < n; ++a)
        for (std::size_t b = 0; b < n; ++b) matrix[a * n + b] += x[r * n + a] * x[r * n + b];
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b < n; ++b)
        for (std::size_t c = 0; c < m; ++c)
          right[a * m + c] += matrix[a * n + b] * truth[b * m + c];

    ASSERT_TRUE(cholesky(matrix, n, 3));
    solve(matrix, n, right, m, 2);

    for (std::size_t i = 0; i < truth.size(); ++i)
      EXPECT_NEAR(right[i], truth[i], 1e-6) << "n = " << n;  // condition up to 1e5
  }
}

TEST(Cholesky, SaysWhereAMatrixIsNotPositiveDefinite) {
  std::vector<double> singular = {1, 1, 1, 1}, negative = {-1}, good = {2, 1, 1, 2};
  EXPECT_FALSE(cholesky(singular, 2, 1));
  EXPECT_FALSE(cholesky(negative, 1, 1));
  EXPECT_TRUE(cholesky(good, 2, 1));
}

}  // namespace
}  // namespace ration::merge
