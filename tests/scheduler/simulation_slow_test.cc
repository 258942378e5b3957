// 10,000 random histories of 200 runs each; simulation_test.cc plays a few hundred small ones.

#include <gtest/gtest.h>

#include "scheduler/simulation/shrink.h"

namespace ration::scheduler::simulation {
namespace {

TEST(Simulation, KeepsEveryPromiseInTenThousandHistories) {
  const std::optional<Scenario> failing = first_failure(0, 10'000, 200);

  EXPECT_FALSE(failing) << complaint(*failing);
}

}  // namespace
}  // namespace ration::scheduler::simulation
