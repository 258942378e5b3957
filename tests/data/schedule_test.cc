#include "data/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace ration::data {
namespace {

TEST(WindowSchedule, NeverShowsAWindowTwiceMoreOftenThanAnother) {
  for (const std::uint32_t windows : {1U, 2U, 7U, 64U}) {
    WindowSchedule schedule(windows, 5);
    std::vector<int> seen(windows, 0);

    for (std::uint32_t step = 0; step < 5 * windows + windows / 2; ++step) {
      ++seen[schedule.next()];
      const auto [least, most] = std::minmax_element(seen.begin(), seen.end());
      ASSERT_LE(*most - *least, 1) << "after " << step + 1 << " of " << windows << " windows";
    }
  }
}

TEST(WindowSchedule, ReshufflesEveryEpochAndBySeed) {
  const auto epochs = [](std::uint64_t seed) {
    WindowSchedule schedule(32, seed);
    std::set<std::vector<std::uint32_t>> orders;
    for (int epoch = 0; epoch < 8; ++epoch) {
      std::vector<std::uint32_t> order(32);
      std::generate(order.begin(), order.end(), [&] { return schedule.next(); });
      orders.insert(order);
    }
    return orders;
  };

  const auto first = epochs(1);
  const auto second = epochs(2);

  EXPECT_EQ(first.size(), 8U);
  for (const auto& order : second) EXPECT_FALSE(first.contains(order));
}

TEST(WindowSchedule, ContinuesFromAnyStoredPosition) {
  constexpr std::uint32_t kWindows = 5;
  WindowSchedule straight(kWindows, 11);
  for (int taken = 0; taken < 23; ++taken) {
    WindowSchedule undisturbed = straight;
    WindowSchedule resumed(kWindows, 11, straight.position());

    for (int i = 0; i < 12; ++i) EXPECT_EQ(resumed.next(), undisturbed.next());
    EXPECT_EQ(resumed.position(), undisturbed.position());
    straight.next();
  }
}

}  // namespace
}  // namespace ration::data
