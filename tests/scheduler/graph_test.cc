// Runs that wait for others, by the state machine alone: rounds of contributions that are fused,
// with quorums, deadlines and failures.

#include "scheduler/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/play.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum FailureClass;

constexpr double kHour = 3600;

Gate gate_on(const std::vector<std::size_t>& parents,
             std::size_t quorum = 0,
             OnStall on_stall = OnStall::abort,
             double deadline = std::numeric_limits<double>::infinity()) {
  Gate gate;
  for (const std::size_t node : parents) {
    Parent parent;
    parent.node = node;
    gate.parents.push_back(parent);
  }
  gate.quorum = quorum;
  gate.on_stall = on_stall;
  gate.deadline_seconds = deadline;
  return gate;
}

// Three contributors 0, 1, 2 and their fusion 3, with room for all.
Play fusion(std::size_t quorum, OnStall on_stall, double deadline = kHour) {
  Policy policy = slots(10);
  policy.retries_bug = 0;
  Play sweep(4, policy);
  EXPECT_TRUE(connect(sweep.state, {{3, gate_on({0, 1, 2}, quorum, on_stall, deadline)}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.tick();
  return sweep;
}

TEST(Graph, FusesWhenAllContributionsAreIn) {
  Play sweep = fusion(2, OnStall::wait);
  EXPECT_THAT(sweep.launched(), ElementsAre(0, 1, 2));
  sweep.end(0);
  sweep.end(2);
  EXPECT_THAT(sweep.launched(), IsEmpty()) << "the deadline is not over";

  sweep.end(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, FusesAtTheDeadlineWhenAQuorumIsIn) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(0);
  sweep.end(2);
  sweep.wait(kHour - 1);
  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(next_start(sweep.state), kHour);

  sweep.wait(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, TakesAFailedContributorForAbsentAndWaitsForNobodyElse) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(1, bug);
  sweep.end(0);

  sweep.end(2);

  EXPECT_THAT(sweep.launched(), ElementsAre(3)) << "all that can come are in";
}

TEST(Graph, CountsAContributorThatDivergedAsAbsent) {
  Play sweep = fusion(0, OnStall::abort);

  sweep.end(1, diverged);

  EXPECT_EQ(sweep.run(3), RunState::skipped);
}

TEST(Graph, WaitsForARetryBeforeItCallsAContributorAbsent) {
  Play sweep = fusion(0, OnStall::abort);
  sweep.end(0);
  sweep.end(1);
  sweep.end(2, killed);
  EXPECT_EQ(sweep.run(3), RunState::ready);
  sweep.wait(kLong);

  sweep.end(2);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, KeepsTheListOfWhatWasFusedWhenOneComesLate) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(0);
  sweep.end(2);
  sweep.wait(kHour);

  sweep.end(1);

  const std::vector<Parent>& parents = sweep.state.gates.at(3).parents;
  EXPECT_EQ(parents[0].arrival, Arrival::here);
  EXPECT_EQ(parents[1].arrival, Arrival::awaited) << "it is done, and was not fused";
  EXPECT_EQ(parents[2].arrival, Arrival::here);
  EXPECT_THAT(sweep.launched(), IsEmpty());
}

TEST(Graph, BeginsAsSoonAsAQuorumIsInWhenItWaitedBeyondTheDeadline) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(0);
  sweep.wait(2 * kHour);
  EXPECT_THAT(sweep.launched(), IsEmpty());

  sweep.end(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, GivesAllAnotherDeadlineWhereTheRuleIsToExtend) {
  Play sweep = fusion(2, OnStall::extend);
  sweep.end(0);
  sweep.wait(kHour);
  sweep.end(1);
  EXPECT_THAT(sweep.launched(), IsEmpty()) << "another hour is left for the third";

  sweep.wait(kHour);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, GoesOnAtTheDeadlineWithWhatThereIs) {
  Play sweep = fusion(3, OnStall::go_on);
  sweep.end(0);

  sweep.wait(kHour);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, GoesOnWithTheFirstThatComesWhereNoneWasInTime) {
  Play sweep = fusion(2, OnStall::go_on);
  sweep.wait(kHour);
  EXPECT_THAT(sweep.launched(), IsEmpty());

  sweep.end(2);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, SkipsAtTheDeadlineWhereTheRuleIsToAbort) {
  Play sweep = fusion(2, OnStall::abort);
  sweep.end(0);

  sweep.wait(kHour);

  EXPECT_EQ(sweep.run(3), RunState::skipped);
  EXPECT_THAT(sweep.reason(3), HasSubstr("1 of the 2 runs that it needs were there in time"));
}

TEST(Graph, IsStalledWhenFewerThanAQuorumCanCome) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(0);
  sweep.end(1, bug);
  sweep.end(2, bug);
  EXPECT_THAT(sweep.said(), HasSubstr("is stalled: needs 2 of 3 runs, and 1 can come"));
  EXPECT_EQ(sweep.run(3), RunState::ready);
  EXPECT_TRUE(finished(sweep.state)) << "only a person can help";

  sweep.retry(1);
  EXPECT_FALSE(finished(sweep.state));
  sweep.end(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, SkipsWithTheNameOfAParentThatItNeedsAndWaitsAgainWhenThatIsRetried) {
  Play sweep = fusion(0, OnStall::abort);

  sweep.end(1, bug);
  EXPECT_EQ(sweep.run(3), RunState::skipped);
  EXPECT_THAT(sweep.reason(3), HasSubstr("run 000000000000 is failed"));

  sweep.retry(1);
  EXPECT_EQ(sweep.run(3), RunState::ready);
  for (const std::size_t node : {0, 1, 2}) sweep.end(node);

  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, SkipsAllThatHangOnAFailedRun) {
  Policy policy = slots(1);
  Play sweep(3, policy);
  ASSERT_TRUE(connect(sweep.state, {{1, gate_on({0})}, {2, gate_on({1})}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.tick();

  sweep.end(0, config);

  EXPECT_EQ(sweep.run(1), RunState::skipped);
  EXPECT_EQ(sweep.run(2), RunState::skipped);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Graph, IsStalledWithARunThatItWaitsFor) {
  Policy policy = slots(9);
  policy.retries_bug = 0;
  Play sweep(4, policy);
  ASSERT_TRUE(connect(sweep.state, {{2, gate_on({0, 1}, 2, OnStall::wait)}, {3, gate_on({2})}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.tick();
  sweep.end(0);

  sweep.end(1, bug);
  EXPECT_TRUE(finished(sweep.state));
  EXPECT_EQ(sweep.run(3), RunState::ready) << "it did not fail: nothing it needs is lost";

  sweep.retry(1);
  sweep.end(1);
  sweep.end(2);
  EXPECT_THAT(sweep.launched(), ElementsAre(3));
}

TEST(Graph, KnowsResultsThatWereThereBefore) {
  Play sweep(2, slots(1));
  sweep.state.nodes[0].state = RunState::done;
  ASSERT_TRUE(connect(sweep.state, {{1, gate_on({0})}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);

  sweep.tick();

  EXPECT_THAT(sweep.launched(), ElementsAre(1));
}

TEST(Graph, DoesNotWaitAgainForItsOwnRetries) {
  Play sweep = fusion(2, OnStall::wait);
  sweep.end(0);
  sweep.end(1);
  sweep.wait(kHour);
  sweep.end(3, killed);

  sweep.wait(kLong);

  EXPECT_THAT(sweep.launched(), ElementsAre(3)) << "contributor 2 is still at work";
}

TEST(Graph, IsRefusedWhenRunsWaitForOneAnother) {
  Play sweep(3);
  for (std::size_t i = 0; i < 3; ++i) sweep.state.nodes[i].id = std::string(12, "abc"[i]);

  const Result<void> made =
      connect(sweep.state, {{0, gate_on({2})}, {1, gate_on({0})}, {2, gate_on({1})}});

  ASSERT_FALSE(made);
  EXPECT_THAT(
      made.error().what,
      HasSubstr("aaaaaaaaaaaa waits for cccccccccccc waits for bbbbbbbbbbbb waits for aaaa"));
  EXPECT_THAT(sweep.state.gates, IsEmpty());
  EXPECT_FALSE(connect(sweep.state, {{0, gate_on({0})}})) << "for itself";
}

TEST(Graph, IsRefusedWhenAGateMakesNoSense) {
  Play sweep(2);
  EXPECT_FALSE(connect(sweep.state, {{1, gate_on({})}}));
  EXPECT_FALSE(connect(sweep.state, {{1, gate_on({7})}}));
  EXPECT_FALSE(connect(sweep.state, {{7, gate_on({0})}}));
  EXPECT_FALSE(connect(sweep.state, {{1, gate_on({0, 0})}}));
  EXPECT_FALSE(connect(sweep.state, {{1, gate_on({0}, 2)}}));
  EXPECT_FALSE(connect(sweep.state, {{1, gate_on({0}, 1, OnStall::wait, 0)}}));
}

TEST(Graph, CarriesRoundsOfContributionsOut) {
  constexpr std::size_t kRounds = 5, kContributors = 4;
  const std::size_t each = kContributors + 1;  // then their fusion
  Play sweep(kRounds * each, slots(100));
  std::map<std::size_t, Gate> gates;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::vector<std::size_t> contributors;
    for (std::size_t c = 0; c < kContributors; ++c) {
      contributors.push_back(round * each + c);
      if (round > 0) gates[round * each + c] = gate_on({round * each - 1});
    }
    gates[round * each + kContributors] = gate_on(contributors, 2, OnStall::wait, kHour);
  }
  ASSERT_TRUE(connect(sweep.state, std::move(gates)));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.tick();

  for (std::size_t round = 0; round < kRounds; ++round) {
    EXPECT_EQ(sweep.launched().size(), kContributors) << round;
    for (std::size_t c = 0; c < kContributors; ++c) sweep.end(round * each + c);
    EXPECT_THAT(sweep.launched(), ElementsAre(round * each + kContributors));
    sweep.end(round * each + kContributors);
  }

  EXPECT_TRUE(finished(sweep.state));
}

}  // namespace
}  // namespace ration::scheduler
