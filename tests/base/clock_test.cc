#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace ration {
namespace {

TEST(SystemClock, SleepsAtLeastAsLongAsAsked) {
  Clock& clock = system_clock();
  const double before = clock.monotonic_seconds();

  clock.sleep(0.02);
  clock.sleep(0);
  clock.sleep(-1);

  EXPECT_GE(clock.monotonic_seconds() - before, 0.02);
}

TEST(SystemClock, TellsTheTimeOfTheSystem) {
  EXPECT_NEAR(system_clock().unix_seconds(), static_cast<double>(std::time(nullptr)), 2);
}

}  // namespace
}  // namespace ration
