// Whole loops over simulated sweeps: seconds of fitting.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loop/world.h"

namespace ration::loop {
namespace {

using test::kTruth;
using test::law;
using test::options;
using test::World;
using testing::SizeIs;

TEST(Loop, ReachesItsGoalForAFractionOfWhatAllRunsCost) {
  World world;

  const Decision last = world.play(options()).back();

  EXPECT_EQ(last.verdict, Verdict::reached);
  ASSERT_THAT(last.goal, SizeIs(1));
  EXPECT_LT(*last.goal[0].width, 0.25);
  // The optimum of the law that made the losses, which the loop never saw; 25 % is the width of the
  // interval that was asked for.
  const double truth = plan::optimise(law(), kTruth, options().plan).epochs;
  EXPECT_NEAR(*last.goal[0].value, truth, 0.25 * truth);
  EXPECT_LT(last.spent_flops, 0.3 * world.total());
}

TEST(Loop, NeverSpendsMoreThanItMay) {
  World world;
  Options wanted = options("interval(epochs) < 1%");
  wanted.spend = Flops(0.05 * world.total());

  const std::vector<Decision> decisions = world.play(wanted);

  const Decision& last = decisions.back();
  EXPECT_EQ(last.verdict, Verdict::spent) << last.why;
  EXPECT_LE(last.spent_flops, wanted.spend.value);
  // What is left buys nothing: the sum is known without the loop.
  double open = HUGE_VAL;
  for (const loop::Run& run : world.runs)
    if (run.status == RunStatus::open) open = std::min(open, cost(run).value);
  EXPECT_GT(open, wanted.spend.value - last.spent_flops);
  for (const Decision& decision : decisions) {
    double flops = 0;
    for (const Pick& pick : decision.runs) flops += pick.flops;
    // A round's share, unless it is one single run.
    if (decision.runs.size() > 1) {
      EXPECT_LE(flops, wanted.spend.value / 8);
    }
  }
}

}  // namespace
}  // namespace ration::loop
