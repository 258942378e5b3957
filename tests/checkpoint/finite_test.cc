#include "checkpoint/finite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "support/temporary_folder.h"

namespace ration::checkpoint {
namespace {

using testing::HasSubstr;

template <class Number>
std::optional<std::uint64_t> first_of(DType dtype, const std::vector<Number>& numbers) {
  return first_not_finite(dtype, std::as_bytes(std::span(numbers)));
}

TEST(Finite, FindsTheFirstNumberThatIsNone) {
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_of<float>(DType::f32, {1, -infinite, infinite}), 1U);
  EXPECT_EQ(first_of<double>(DType::f64, {0, 1, std::numeric_limits<double>::quiet_NaN()}), 2U);
  EXPECT_EQ(first_of<std::uint16_t>(DType::f16, {0x3c00, 0xfc00}), 1U);   // 1, -infinity
  EXPECT_EQ(first_of<std::uint16_t>(DType::bf16, {0x3f80, 0x7fc0}), 1U);  // 1, NaN
}

TEST(Finite, TakesTheLargestAndTheSmallestNumbers) {
  EXPECT_FALSE(first_of<float>(
      DType::f32, {std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()}));
  EXPECT_FALSE(first_of<std::uint16_t>(DType::f16, {0x7bff, 0x0001, 0x8000}));
  EXPECT_FALSE(first_of<std::uint16_t>(DType::bf16, {0x7f7f, 0x0001}));
}

TEST(Finite, AsksNothingOfWholeNumbers) {
  EXPECT_FALSE(first_of<std::int32_t>(DType::i32, {0x7f800000, -1}));
}

TEST(Finite, NamesFileTensorAndIndex) {
  const test::TemporaryFolder folder;
  const std::vector<float> numbers = {1, 2, std::numeric_limits<float>::quiet_NaN()};
  ASSERT_TRUE(write_safetensors(real_files(),
                                folder / "bad.safetensors",
                                {{.name = "wte",
                                  .dtype = DType::f32,
                                  .shape = {3},
                                  .bytes = std::as_bytes(std::span(numbers))}}));

  const Result<Checkpoint> bad = Checkpoint::open(real_files(), folder / "bad.safetensors");
  ASSERT_TRUE(bad);
  const Result<void> checked = check_finite(*bad);

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::input);
  EXPECT_THAT(checked.error().what,
              HasSubstr("bad.safetensors: tensor \"wte\" is NaN or infinite at element 2"));
}

}  // namespace
}  // namespace ration::checkpoint
