#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace ration {
namespace {

TEST(Stream, DiffersInSeedStreamAndEpoch) {
  const std::set<std::uint64_t> keys = {Stream(1, StreamId::windows, 0).key(),
                                        Stream(2, StreamId::windows, 0).key(),
                                        Stream(1, StreamId::documents, 0).key(),
                                        Stream(1, StreamId::windows, 1).key()};

  EXPECT_EQ(keys.size(), 4U);
}

TEST(Stream, SkipsDrawsWithoutMakingThem) {
  Stream walked(3, StreamId::dropout);
  for (int i = 0; i < 1000; ++i) walked.next();
  Stream skipped(3, StreamId::dropout);
  skipped.skip(1000);

  EXPECT_EQ(skipped.next(), walked.next());
}

TEST(Stream, DrawsEveryNumberBelowABoundEquallyOften) {
  constexpr int kDraws = 70'000;
  constexpr std::size_t kBound = 7;
  std::vector<int> count(kBound, 0);
  Stream stream(11, StreamId::bootstrap);

  for (int i = 0; i < kDraws; ++i) ++count.at(stream.below(kBound));

  double chi_squared = 0;
  constexpr double kExpected = static_cast<double>(kDraws) / kBound;
  for (const int n : count) chi_squared += (n - kExpected) * (n - kExpected) / kExpected;
  EXPECT_LT(chi_squared, 22.46) << "six degrees of freedom, quantile 0.999";
}

TEST(Stream, StaysBelowBoundsOfAnySize) {
  Stream stream(5, StreamId::starts);
  for (const std::uint64_t bound :
       {std::uint64_t{1}, std::uint64_t{3}, (std::uint64_t{1} << 63) + 1, ~std::uint64_t{0}})
    for (int i = 0; i < 100; ++i) ASSERT_LT(stream.below(bound), bound);
}

TEST(Stream, DrawsUniformDoublesFromZeroToBelowOne) {
  constexpr int kDraws = 100'000;
  Stream stream(17, StreamId::bootstrap);
  double sum = 0;
  double least = 1;
  double most = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double draw = stream.uniform();
    sum += draw;
    least = std::min(least, draw);
    most = std::max(most, draw);
  }

  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  const double standard_error = std::sqrt(1.0 / 12 / kDraws);
  EXPECT_NEAR(sum / kDraws, 0.5, 4 * standard_error);
}

TEST(Stream, DrawsNormalNumbersWithTheRightMoments) {
  constexpr int kDraws = 100'000;
  Stream stream(23, StreamId::init);
  double sum = 0;
  double squares = 0;
  double fourths = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double draw = stream.normal();
    sum += draw;
    squares += draw * draw;
    fourths += draw * draw * draw * draw;
  }

  // Four standard errors each: the variances of x, x² and x⁴ are 1, 2 and 96.
  EXPECT_NEAR(sum / kDraws, 0, 4 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1, 4 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(fourths / kDraws, 3, 4 * std::sqrt(96.0 / kDraws));
}

TEST(Stream, TakesTwoDrawsForANormalNumber) {
  Stream straight(29, StreamId::init);
  straight.normal();
  const double second = straight.normal();
  Stream skipped(29, StreamId::init);
  skipped.skip(2);

  EXPECT_EQ(skipped.normal(), second);
}

TEST(Permutation, HoldsEveryNumberOnce) {
  std::vector<std::uint32_t> order = permutation(1000, Stream(1, StreamId::documents));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));

  std::sort(order.begin(), order.end());

  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(Permutation, OfNothingIsEmpty) {
  EXPECT_TRUE(permutation(0, Stream(1, StreamId::documents)).empty());
}

}  // namespace
}  // namespace ration
