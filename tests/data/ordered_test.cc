#include "data/ordered.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

namespace ration::data {
namespace {

using Next = Result<std::optional<std::pair<int, std::uint64_t>>>;

// Gives 0 … count-1, each at the cost.
auto numbers(int count, std::uint64_t cost = 1) {
  return [=, next = 0]() mutable {
    return next < count ? Next(std::pair(next++, cost)) : Next(std::nullopt);
  };
}

Result<int> the_same(int number) { return number; }

Error error_of(int number) { return {.kind = ErrorKind::input, .what = std::to_string(number)}; }

TEST(InOrder, GivesResultsInTheOrderOfTheirInputs) {
  std::vector<int> taken;

  const Result<void> done = in_order<int, int>(
      {.threads = 4},
      numbers(200),
      [](int number) {
        if (number % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return Result<int>(number);
      },
      [&](int number) { return taken.push_back(number), Result<void>(); });

  ASSERT_TRUE(done);
  ASSERT_EQ(taken.size(), 200U);
  EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
}

TEST(InOrder, ReturnsTheFirstErrorAndConsumesWhatStandsBeforeIt) {
  std::vector<int> taken;

  const Result<void> done = in_order<int, int>(
      {.threads = 4},
      numbers(200),
      [](int number) {
        return number == 50 || number == 51 ? Result<int>(error_of(number)) : Result<int>(number);
      },
      [&](int number) { return taken.push_back(number), Result<void>(); });

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "50");
  EXPECT_EQ(taken.size(), 50U);
}

TEST(InOrder, EndsWhenAResultCannotBeConsumed) {
  const Result<void> done =
      in_order<int, int>({.threads = 3}, numbers(1'000'000), the_same, [](int number) {
        return number == 3 ? Result<void>(error_of(number)) : Result<void>();
      });

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "3");
}

// However slow the consumer is, a few results a thread wait for it.
TEST(InOrder, IsOnlyAFewInputsAheadOfTheConsumer) {
  std::atomic<int> made = 0;
  int most = 0;
  int taken = 0;

  const Result<void> done = in_order<int, int>(
      {.threads = 2},
      numbers(100),
      [&](int number) { return ++made, Result<int>(number); },
      [&](int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        most = std::max(most, made - taken++);
        return Result<void>();
      });

  ASSERT_TRUE(done);
  EXPECT_EQ(taken, 100);
  EXPECT_LE(most, static_cast<int>(2 * kAhead));
}

TEST(InOrder, WorksAloneOnWhatCostsMoreThanTheMemory) {
  std::atomic<int> working = 0;
  std::atomic<int> most = 0;

  const Result<void> done = in_order<int, int>(
      {.threads = 4, .memory = 10},
      numbers(20, 11),
      [&](int number) {
        most = std::max<int>(most, ++working);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        --working;
        return Result<int>(number);
      },
      [](int) { return Result<void>(); });

  ASSERT_TRUE(done);
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace ration::data
