#include "versions/factor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/random.h"
#include "merge/numbers.h"
#include "versions/planes.h"

namespace ration::versions {
namespace {

using checkpoint::DType;

std::vector<double> normals(std::size_t count, double scale, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  std::vector<double> values(count);
  for (double& value : values) value = scale * stream.normal();
  return values;
}

Bytes stored(DType dtype, const std::vector<double>& values) {
  Bytes bytes(values.size() * checkpoint::item_bytes(dtype));
  merge::narrow(dtype, values, 0, bytes.data());
  return bytes;
}

struct Matrices {
  Layout layout;
  Bytes old;
  Bytes now;
};

// old + U V with `rank` columns.
Matrices low_rank(DType dtype, std::uint64_t rows, std::uint64_t columns, std::uint64_t rank) {
  std::vector<double> old = normals(rows * columns, 0.02, 1);
  const std::vector<double> u = normals(rows * rank, 0.001, 2);
  const std::vector<double> v = normals(rank * columns, 1, 3);
  Matrices matrices{
      .layout = layout_of(dtype, {rows, columns}), .old = stored(dtype, old), .now = {}};
  merge::widen(dtype, matrices.old.data(), 0, old);
  for (std::uint64_t i = 0; i < rows; ++i)
    for (std::uint64_t j = 0; j < columns; ++j)
      for (std::uint64_t k = 0; k < rank; ++k)
        old[i * columns + j] += u[i * rank + k] * v[k * columns + j];
  matrices.now = stored(dtype, old);
  return matrices;
}

Result<std::optional<Factor>> search(const Matrices& matrices) {
  return find_factor(
      matrices.now, matrices.layout, [&](std::uint64_t index, std::span<std::byte> block) {
        std::memcpy(block.data(), matrices.old.data() + index * kBlockBytes, block.size());
        return Result<void>();
      });
}

class Ranks : public testing::TestWithParam<DType> {};

TEST_P(Ranks, OfAnUpdateAreFound) {
  // More than a block, and rows that cross its end.
  const Matrices matrices = low_rank(GetParam(), 700, 900, 8);

  const Result<std::optional<Factor>> factor = search(matrices);

  ASSERT_TRUE(factor) << factor.error().describe();
  ASSERT_TRUE(factor->has_value());
  EXPECT_EQ((*factor)->rank, 8U);
  Bytes predicted = matrices.old;
  add_factor(**factor, matrices.layout, 0, predicted);
  std::size_t wrong = 0;
  const std::size_t item = matrices.layout.item_bytes;
  for (std::size_t i = 0; i < predicted.size(); i += item)
    wrong += std::memcmp(predicted.data() + i, matrices.now.data() + i, item) != 0 ? 1 : 0;
  EXPECT_LT(static_cast<double>(wrong), 0.5 * static_cast<double>(predicted.size() / item));
}

INSTANTIATE_TEST_SUITE_P(Factors, Ranks, testing::Values(DType::f32, DType::bf16, DType::f16));

TEST(Factor, IsNotFoundWhereThereIsNone) {
  Matrices matrices = low_rank(DType::f32, 128, 128, 2);
  matrices.now = stored(DType::f32, normals(128 * 128, 0.02, 4));

  const Result<std::optional<Factor>> factor = search(matrices);

  ASSERT_TRUE(factor);
  EXPECT_FALSE(factor->has_value());
}

TEST(Factor, IsNotFoundBesideNaNs) {
  Matrices matrices = low_rank(DType::f32, 128, 128, 2);
  const std::uint32_t nan = 0x7fc00000;
  for (std::size_t row = 0; row < 128; ++row)
    std::memcpy(matrices.now.data() + 4 * (row * 128 + 5), &nan, 4);

  const Result<std::optional<Factor>> factor = search(matrices);

  ASSERT_TRUE(factor);
  EXPECT_FALSE(factor->has_value());
}

TEST(Factor, PredictsAnyPartOfTheMatrixAlike) {
  const Layout layout = layout_of(DType::f32, {5, 7});
  Factor factor{.rank = 2, .u = {}, .v = {}};
  for (int i = 0; i < 10; ++i) factor.u.push_back(0.1F * static_cast<float>(i));
  for (int i = 0; i < 14; ++i) factor.v.push_back(1.0F / static_cast<float>(1 + i));
  const Bytes old = stored(DType::f32, normals(35, 1, 1));
  Bytes whole = old;
  add_factor(factor, layout, 0, whole);

  for (std::size_t cut = 0; cut <= 35; ++cut) {
    Bytes parts = old;
    add_factor(factor, layout, 0, std::span(parts).first(cut * 4));
    add_factor(factor, layout, cut, std::span(parts).subspan(cut * 4));
    EXPECT_EQ(parts, whole) << cut;
  }
  // A twin in long double: float64 sums of two exact products round to the same f32 here.
  for (std::size_t i = 0; i < 35; ++i) {
    float was = 0;
    float now = 0;
    std::memcpy(&was, old.data() + 4 * i, 4);
    std::memcpy(&now, whole.data() + 4 * i, 4);
    long double sum = was;
    for (std::size_t k = 0; k < 2; ++k)
      sum += static_cast<long double>(factor.u[i / 7 * 2 + k]) * factor.v[k * 7 + i % 7];
    EXPECT_FLOAT_EQ(now, static_cast<float>(sum)) << i;
  }
}

TEST(Factor, LeavesTheBitsOfNaNsAlone) {
  const Layout layout = layout_of(DType::f32, {1, 2});
  const Factor factor{.rank = 1, .u = {1}, .v = {2, 2}};
  const std::vector<std::uint32_t> bits = {0x7f812345, 0x3f800000};
  Bytes numbers(8);
  std::memcpy(numbers.data(), bits.data(), 8);

  add_factor(factor, layout, 0, numbers);

  std::uint32_t first = 0;
  float second = 0;
  std::memcpy(&first, numbers.data(), 4);
  std::memcpy(&second, numbers.data() + 4, 4);
  EXPECT_EQ(first, 0x7f812345U);
  EXPECT_EQ(second, 3.0F);
}

}  // namespace
}  // namespace ration::versions
