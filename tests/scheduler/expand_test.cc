#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using test::PreparedFolder;
using test::problems_of;
using testing::ElementsAre;

TEST(Expand, MultipliesGridAxesTheLastOneFastest) {
  const PreparedFolder folder;

  const auto plan = folder.expand(R"(
    data = "data"
    [fixed]
    tokens = 6400
    [grid]
    width = [32, 64]
    lr = [0.001, 0.002]
  )");

  ASSERT_TRUE(plan) << plan.error().describe();
  ASSERT_EQ(plan->runs.size(), 4u);
  EXPECT_EQ(plan->runs[0].spec.width, 32);
  EXPECT_EQ(plan->runs[0].spec.lr, 0.001);
  EXPECT_EQ(plan->runs[1].spec.width, 32);
  EXPECT_EQ(plan->runs[1].spec.lr, 0.002);
  EXPECT_EQ(plan->runs[3].spec.width, 64);
}

}  // namespace
}  // namespace ration::scheduler
