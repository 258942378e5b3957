// Caps on what a sweep uses up, by the state machine alone.

#include "scheduler/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/play.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using enum FailureClass;

// Runs that take so many FLOPs each.
Play capped(std::size_t runs, double flops, const Policy& policy) {
  Play sweep(runs, policy);
  for (RunNode& node : sweep.state.nodes) node.flops_left = flops;
  return sweep;
}

Ending used(double flops, double seconds) {
  Ending ending;
  ending.used = {.flops = flops, .seconds = seconds};
  return ending;
}

TEST(Budget, StartsNothingMoreWhenTheNextRunWouldPassIt) {
  Policy policy = slots(1);
  policy.caps.flops = 25;
  Play sweep = capped(3, 10, policy);
  sweep.tick();
  sweep.end(0, used(10, 1));
  EXPECT_THAT(sweep.launched(), ElementsAre(1));

  sweep.end(1, used(10, 1));

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.state.cause, StopCause::budget);
  EXPECT_EQ(sweep.run(2), RunState::ready);
  EXPECT_TRUE(finished(sweep.state));
  EXPECT_THAT(sweep.said(),
              testing::AllOf(testing::HasSubstr("20 flop of 25 flop are used (--max-flops)"),
                             testing::HasSubstr("would take about 10 flop")));
}

TEST(Budget, CountsWhatActiveRunsAreExpectedToTake) {
  Policy policy = slots(4);
  policy.caps.flops = 25;
  Play sweep = capped(4, 10, policy);

  sweep.tick();

  EXPECT_THAT(sweep.launched(), ElementsAre(0, 1));
  EXPECT_EQ(sweep.state.mode, Mode::running) << "they may yet leave enough";
}

TEST(Budget, GivesWhatARunLeftOverToTheNext) {
  Policy policy = slots(4);
  policy.caps.flops = 25;
  Play sweep = capped(3, 10, policy);
  sweep.tick();

  Ending early = used(2, 1);
  early.failure = diverged;
  sweep.end(0, early);

  EXPECT_THAT(sweep.launched(), ElementsAre(2));
}

TEST(Budget, CountsWorkThatIsDoneTwice) {
  Policy policy = slots(2);
  policy.caps.flops = 25;
  Play sweep = capped(2, 10, policy);
  sweep.tick();
  Ending lost = used(9, 1);
  lost.failure = killed;
  sweep.end(0, lost);

  sweep.wait(kLong);

  EXPECT_THAT(sweep.launched(), IsEmpty()) << "9 are used, and each of them takes 10";
  sweep.end(1, used(10, 1));
  EXPECT_EQ(sweep.state.cause, StopCause::budget);
}

TEST(Budget, ExpectsOfARetryWhatItsCheckpointDoesNotHold) {
  Policy policy = slots(1);
  policy.caps.flops = 12;
  Play sweep = capped(1, 10, policy);
  sweep.tick();
  Ending preemption = used(9, 1);
  preemption.failure = preempted;
  preemption.progressed = true;

  sweep.end(0, preemption);

  EXPECT_THAT(sweep.launched(), ElementsAre(0));
}

TEST(Budget, RemembersWhatEarlierCommandsUsed) {
  Policy policy;
  policy.caps.flops = 25;
  Play sweep = capped(1, 10, policy);
  sweep.state.used.flops = 16;

  sweep.tick();

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.state.cause, StopCause::budget);
}

TEST(Budget, LearnsHowLongARunTakesFromThoseThatEnded) {
  Policy policy = slots(1);
  policy.caps.hours = 2.5;
  Play sweep = capped(3, 10, policy);
  sweep.tick();
  EXPECT_THAT(sweep.launched(), ElementsAre(0)) << "no speed is known yet";
  sweep.end(0, used(10, 3600));
  EXPECT_THAT(sweep.launched(), ElementsAre(1));

  sweep.end(1, used(10, 3600));

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_THAT(sweep.said(), testing::HasSubstr("2h 0m of 2h 30m are used (--max-hours)"));
}

TEST(Budget, TakesTheSpeedOfOtherSweepsBeforeItsOwnIsKnown) {
  Policy policy = slots(1);
  policy.caps.hours = 0.5;
  Play sweep = capped(1, 10, policy);
  sweep.state.speed = 10.0 / 3600;

  sweep.tick();

  EXPECT_THAT(sweep.launched(), IsEmpty());
}

TEST(Budget, TurnsHoursIntoMoney) {
  Policy policy = slots(1);
  policy.caps.cost = 5;
  policy.caps.price = 2;
  Play sweep = capped(3, 10, policy);
  sweep.tick();
  sweep.end(0, used(10, 3600));
  EXPECT_THAT(sweep.launched(), ElementsAre(1)) << "4 of 5";

  sweep.end(1, used(10, 3600));

  EXPECT_THAT(sweep.said(), testing::HasSubstr("4 of 5 are used (--max-cost)"));
}

TEST(Budget, LeavesRunsOfOtherSweepsOut) {
  Policy policy = slots(2);
  policy.caps.flops = 15;
  Play sweep = capped(2, 10, policy);
  sweep.state.nodes[0].counted = false;
  sweep.tick();
  EXPECT_THAT(sweep.launched(), ElementsAre(0, 1));

  sweep.end(0, used(10, 1));

  EXPECT_EQ(sweep.state.used.flops, 0);
}

TEST(Budget, SaysWhetherAllThatIsToDoFits) {
  Caps caps;
  caps.flops = 100;
  caps.hours = 1;
  const store::Usage used{.flops = 60, .seconds = 1800};

  EXPECT_EQ(describe(caps, used, expected(30, used, 0)),
            "budget: 60 flop used and about 30 flop to do of at most 100 flop (--max-flops): it "
            "fits\n"
            "budget: 30m 0s used and about 15m 0s to do of at most 1h 0m (--max-hours): it fits\n");
  EXPECT_THAT(describe(caps, used, expected(50, used, 0)),
              testing::HasSubstr("not all of it fits"));
  EXPECT_THAT(describe(caps, {}, expected(50, {}, 0)),
              testing::HasSubstr("an unknown amount to do of at most 1h 0m (--max-hours): whether "
                                 "it fits is not known yet"));
  EXPECT_THAT(describe(caps, used, {}), testing::HasSubstr("nothing to do"));
}

}  // namespace
}  // namespace ration::scheduler
