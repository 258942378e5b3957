// Products with one long side, against sums element by element in double precision.

#include "train/cpu/combine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace ration::train::cpu {
namespace {

template <class Real>
std::vector<Real> drawn(std::int64_t count, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  std::vector<Real> numbers(static_cast<std::size_t>(count));
  for (Real& number : numbers) number = static_cast<Real>(stream.uniform() - 0.5);
  return numbers;
}

template <class Real>
double tolerance(std::int64_t terms) {
  return (sizeof(Real) == 4 ? 1e-7 : 1e-16) * static_cast<double>(terms + 4);
}

std::size_t place(std::int64_t row, std::int64_t stride, std::int64_t column) {
  return static_cast<std::size_t>(row * stride + column);
}

template <class Real>
class Combine : public testing::Test {};
using Reals = testing::Types<float, double>;
TYPED_TEST_SUITE(Combine, Reals);

// Lengths about the pieces of 512 that it is cut into, sums that are no multiple of the four rows
// taken at once, and rows that lie apart: what stands between them stays as it was.
TYPED_TEST(Combine, IsTheSumOfWeightedRows) {
  for (const std::int64_t n : {1, 7, 511, 512, 513, 1100})
    for (const std::int64_t k : {1, 3, 4, 6, 8})
      for (const bool turned : {false, true})
        for (const Store store : {Store::replace, Store::add}) {
          constexpr std::int64_t kRows = 3;
          const std::int64_t apart = n + 5;
          const auto a = drawn<TypeParam>(kRows * k, 1), b = drawn<TypeParam>(k * apart, 2);
          const auto before = drawn<TypeParam>(kRows * apart, 3);
          auto c = before;

          combine<TypeParam>(kRows,
                             n,
                             k,
                             {a.data(), turned ? 1 : k, turned ? kRows : 1},
                             {b.data(), apart},
                             {c.data(), apart},
                             store);

          for (std::int64_t i = 0; i < kRows; ++i) {
            for (std::int64_t l = 0; l < n; ++l) {
              double want = store == Store::add ? before[place(i, apart, l)] : 0;
              for (std::int64_t j = 0; j < k; ++j)
                want += static_cast<double>(a[turned ? place(j, kRows, i) : place(i, k, j)]) *
                        static_cast<double>(b[place(j, apart, l)]);
              ASSERT_NEAR(c[place(i, apart, l)], want, tolerance<TypeParam>(k))
                  << n << " " << k << " " << turned;
            }
            for (std::int64_t l = n; l < apart; ++l)
              ASSERT_EQ(c[place(i, apart, l)], before[place(i, apart, l)]);
          }
        }
}

TYPED_TEST(Combine, AddsDotsOfRowsWithRows) {
  constexpr std::int64_t kRows = 3, kOthers = 5, kApart = kOthers + 2;
  for (const std::int64_t k : {1, 7, 511, 512, 513, 1100}) {
    const std::int64_t apart = k + 5;
    const auto a = drawn<TypeParam>(kRows * apart, 1), b = drawn<TypeParam>(kOthers * apart, 2);
    const auto before = drawn<TypeParam>(kRows * kApart, 3);
    auto c = before;

    add_dots<TypeParam>(
        kRows, kOthers, k, {a.data(), apart}, {b.data(), apart}, {c.data(), kApart});

    for (std::int64_t i = 0; i < kRows; ++i) {
      for (std::int64_t j = 0; j < kOthers; ++j) {
        double want = before[place(i, kApart, j)];
        for (std::int64_t l = 0; l < k; ++l)
          want += static_cast<double>(a[place(i, apart, l)]) *
                  static_cast<double>(b[place(j, apart, l)]);
        ASSERT_NEAR(c[place(i, kApart, j)], want, tolerance<TypeParam>(k)) << k;
      }
      for (std::int64_t j = kOthers; j < kApart; ++j)
        ASSERT_EQ(c[place(i, kApart, j)], before[place(i, kApart, j)]);
    }
  }
}

}  // namespace
}  // namespace ration::train::cpu
