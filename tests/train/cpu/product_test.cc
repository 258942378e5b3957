#include "train/cpu/product.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace ration::train::cpu {
namespace {

std::vector<double> draws(std::int64_t n, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  std::vector<double> numbers(static_cast<std::size_t>(n));
  for (double& number : numbers) number = stream.normal();
  return numbers;
}

// c [m,n] beside guard columns that must stay as they are.
template <class Real>
void expect_product(std::int64_t m, std::int64_t n, std::int64_t k, bool transposed, Store store) {
  SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << (transposed ? " A'" : " A"));
  constexpr std::int64_t guard = 3;
  const std::vector<double> a = draws(m * k, 1), b = draws(k * n, 2), c = draws(m * (n + guard), 3);
  const std::vector<Real> left(a.begin(), a.end()), right(b.begin(), b.end());
  std::vector<Real> out(c.begin(), c.end());

  product<Real>(m,
                n,
                k,
                transposed ? Left<Real>{left.data(), 1, m} : Left<Real>{left.data(), k, 1},
                {right.data(), n},
                {out.data(), n + guard},
                store);

  const double tolerance = (sizeof(Real) == 8 ? 1e-13 : 1e-5) * static_cast<double>(k + 1);
  for (std::int64_t row = 0; row < m; ++row)
    for (std::int64_t column = 0; column < n + guard; ++column) {
      const auto at = static_cast<std::size_t>(row * (n + guard) + column);
      if (column >= n) {
        ASSERT_EQ(out[at], static_cast<Real>(c[at])) << "guard of row " << row;
        continue;
      }
      double expected = store == Store::add ? c[at] : 0;
      for (std::int64_t i = 0; i < k; ++i)
        expected += a[static_cast<std::size_t>(transposed ? i * m + row : row * k + i)] *
                    b[static_cast<std::size_t>(i * n + column)];
      ASSERT_NEAR(out[at], expected, tolerance) << row << ", " << column;
    }
}

// Operands that are copied together in parts, with last rows, columns and parts of every kind.
TEST(Product, EqualsTheDefinitionWhereItCopiesItsOperands) {
  for (const std::int64_t m : {48, 61, 289})
    for (const std::int64_t n : {16, 33, 72})
      for (const std::int64_t k : {32, 257, 600})
        for (const bool transposed : {false, true})
          for (const Store store : {Store::replace, Store::add})
            expect_product<float>(m, n, k, transposed, store);
  expect_product<double>(100, 40, 300, false, Store::replace);
  expect_product<double>(100, 40, 300, true, Store::add);
}

// The promise that lets the way be chosen by shape: copying changes no bit.
TEST(Product, SumsInTheOrderOfKHoweverItGoesAboutIt) {
  constexpr std::int64_t m = 96, n = 48, k = 700;
  const std::vector<double> a = draws(m * k, 1), b = draws(k * n, 2);
  const std::vector<float> left(a.begin(), a.end()), right(b.begin(), b.end());
  std::vector<float> whole(m * n), by_rows(m * n);

  product<float>(
      m, n, k, {left.data(), k, 1}, {right.data(), n}, {whole.data(), n}, Store::replace);
  for (std::int64_t row = 0; row < m; ++row)
    product<float>(1,
                   n,
                   k,
                   {left.data() + row * k, k, 1},
                   {right.data(), n},
                   {by_rows.data() + row * n, n},
                   Store::replace);

  EXPECT_EQ(whole, by_rows);
}

// Every mixture of whole panels, odd vectors, last columns and last rows, for any vector length.
TEST(Product, EqualsTheDefinitionForEveryShape) {
  for (const std::int64_t m : {1, 5, 6, 8, 12, 16, 33})
    for (const std::int64_t n : {1, 3, 4, 7, 8, 15, 16, 17, 31, 40, 48, 81, 257})
      for (const std::int64_t k : {1, 2, 19})
        for (const bool transposed : {false, true})
          for (const Store store : {Store::replace, Store::add}) {
            expect_product<float>(m, n, k, transposed, store);
            expect_product<double>(m, n, k, transposed, store);
          }
}

TEST(Product, IsZeroForNoTerms) { expect_product<float>(9, 20, 0, false, Store::replace); }

TEST(Transpose, PutsRowsIntoColumnsOfWiderRows) {
  constexpr std::int64_t rows = 19, columns = 35, stride = 32;
  const std::vector<double> in = draws(rows * columns, 1);
  std::vector<double> out(static_cast<std::size_t>(columns * stride), -1);

  transpose(rows, columns, in.data(), out.data(), stride);

  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < stride; ++r)
      EXPECT_EQ(out[static_cast<std::size_t>(c * stride + r)],
                r < rows ? in[static_cast<std::size_t>(r * columns + c)] : -1);
}

}  // namespace
}  // namespace ration::train::cpu
