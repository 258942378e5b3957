#include "scheduler/halving.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "scheduler/graph.h"
#include "scheduler/play.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What a run of its own configuration, 100 tokens long, meets at a rung.
Standing reach(Bracket& bracket, std::size_t configuration, double tokens, double loss) {
  Contestant run{.bracket = 0, .configuration = configuration, .tokens = 100};
  return bracket.reach(run, tokens, loss).value();
}

TEST(Halving, LetsTheBestThirdOfThoseThatCameGoOn) {
  Bracket bracket({.eta = 3, .rungs = {0.25}, .least = 3});
  EXPECT_FALSE(reach(bracket, 0, 25, 4.0).stops()) << "the first knows nobody to compare with";
  EXPECT_FALSE(reach(bracket, 1, 25, 5.0).stops()) << "two are too few to choose from";

  EXPECT_TRUE(reach(bracket, 2, 25, 4.5).stops());
  EXPECT_FALSE(reach(bracket, 3, 25, 3.9).stops());
  EXPECT_FALSE(reach(bracket, 4, 25, 3.95).stops()) << "of five, two go on";
  EXPECT_TRUE(reach(bracket, 5, 25, 4.2).stops());
  EXPECT_FALSE(reach(bracket, 6, 25, 3.97).stops()) << "of seven, three";
}

TEST(Halving, NeverStopsTheBestOfAllNorOneOfTheBestThirdSoFarInWhateverOrderTheyCome) {
  std::vector<double> losses = {3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7};
  do {
    Bracket bracket({.eta = 3, .rungs = {0.5}, .least = 3});
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const bool stopped = reach(bracket, i, 50, losses[i]).stops();
      const auto came = losses.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      const auto better =
          std::count_if(losses.begin(), came, [&](double other) { return other < losses[i]; });
      ASSERT_EQ(stopped, i >= 2 && better >= static_cast<std::ptrdiff_t>(i + 3) / 3)
          << losses[i] << " came as " << i;
      ASSERT_FALSE(stopped && losses[i] == 3.1);
    }
  } while (std::next_permutation(losses.begin(), losses.end()));
}

TEST(Halving, ComparesAtTheLastRungThatARunReached) {
  Bracket bracket({.eta = 2, .rungs = {0.1, 0.5}, .least = 2});
  Contestant run{.bracket = 0, .configuration = 0, .tokens = 100};
  EXPECT_FALSE(bracket.reach(run, 9, 7.0)) << "no rung yet";
  EXPECT_EQ(bracket.reach(run, 10, 6.0)->rung, 0.1);
  EXPECT_FALSE(bracket.reach(run, 30, 5.0)) << "the same rung again";
  EXPECT_FALSE(bracket.reach(run, 10, 5.0)) << "a step that was trained again";
  EXPECT_EQ(bracket.reach(run, 60, 4.0)->rung, 0.5);

  const Standing other = reach(bracket, 1, 80, 4.1);

  EXPECT_EQ(other.rung, 0.5) << "it passed both with one evaluation";
  EXPECT_EQ(other.rank, 2);
  EXPECT_TRUE(other.stops());
}

TEST(Halving, TakesSeedsOfOneConfigurationAsTheirMean) {
  Bracket bracket({.eta = 2, .rungs = {0.5}, .least = 2});
  reach(bracket, 0, 50, 4.0);
  EXPECT_TRUE(reach(bracket, 1, 50, 4.2).stops());

  const Standing luckier = reach(bracket, 1, 50, 3.6);

  EXPECT_DOUBLE_EQ(luckier.loss, 3.9);
  EXPECT_EQ(luckier.of, 2);
  EXPECT_FALSE(luckier.stops());
}

TEST(Halving, LetsEqualLossesGoOn) {
  Bracket bracket({.eta = 2, .rungs = {0.5}, .least = 2});
  for (std::size_t i = 0; i < 5; ++i) EXPECT_FALSE(reach(bracket, i, 50, 4.0).stops());
}

// ---- In the machine -----------------------------------------------------------------------------

// Five runs of 100 tokens, each of its own configuration; half of those at a rung of 50 go on.
Play contest(int at_once = 5) {
  Play sweep(5, slots(at_once));
  sweep.state.brackets.emplace_back(Halving{.eta = 2, .rungs = {0.5}, .least = 2});
  for (std::size_t i = 0; i < 5; ++i)
    sweep.state.nodes[i].contestant = {.bracket = 0, .configuration = i, .tokens = 100};
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.tick();
  return sweep;
}

TEST(EarlyStop, WritesTheDecisionDownBeforeTheWorkerIsTold) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);

  sweep.evaluate(1, 50, 5.0);

  ASSERT_EQ(sweep.actions.size(), 2);
  EXPECT_EQ(sweep.actions[0].kind, ActionKind::decide);
  EXPECT_THAT(sweep.actions[0].text,
              HasSubstr("stopped early: a loss of 5.0000 nats at 50 % of its tokens is number 2 of "
                        "2, and the best 1 go on"));
  EXPECT_EQ(sweep.actions[1].kind, ActionKind::stop);
  EXPECT_EQ(sweep.run(1), RunState::active) << "until its worker has left";
}

TEST(EarlyStop, LeavesARunStoppedForGoodAndItsSlotToAnother) {
  Play sweep = contest(2);
  sweep.evaluate(0, 50, 4.0);
  sweep.evaluate(1, 50, 5.0);

  sweep.end(1, {.failure = FailureClass::preempted, .progressed = true});
  EXPECT_EQ(sweep.run(1), RunState::stopped);
  EXPECT_THAT(sweep.reason(1), HasSubstr("number 2 of 2"));
  EXPECT_THAT(sweep.launched(), ElementsAre(2));

  sweep.wait(kLong);
  for (const std::size_t node : {0, 2}) sweep.end(node);
  for (const std::size_t node : {3, 4}) sweep.end(node);
  EXPECT_EQ(sweep.run(1), RunState::stopped);
  EXPECT_TRUE(finished(sweep.state));
  EXPECT_EQ(sweep.state.failures, 0);
}

TEST(EarlyStop, DoesNotTouchAResultThatCameFirst) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);
  sweep.evaluate(1, 50, 5.0);

  sweep.end(1);

  EXPECT_EQ(sweep.run(1), RunState::done);
}

TEST(EarlyStop, LetsARunThatIsCompleteEnd) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);

  sweep.evaluate(1, 100, 5.0);

  EXPECT_THAT(sweep.stopped(), IsEmpty());
}

TEST(EarlyStop, KeepsAKilledWorkerOfAStoppedRunFromComingBack) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);
  sweep.evaluate(1, 50, 5.0);

  sweep.end(1, FailureClass::killed);
  sweep.wait(kLong);

  EXPECT_EQ(sweep.run(1), RunState::stopped);
}

TEST(EarlyStop, IsTakenBackByARetryAndNeverComesAgain) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);
  sweep.evaluate(1, 50, 5.0);
  sweep.end(1, {.failure = FailureClass::preempted, .progressed = true});

  sweep.retry(1);
  EXPECT_THAT(sweep.launched(), ElementsAre(1));
  sweep.state.brackets.assign(1, Bracket({.eta = 2, .rungs = {0.5, 0.6}, .least = 2}));
  sweep.evaluate(0, 60, 4.0);
  sweep.evaluate(1, 60, 5.0);

  EXPECT_THAT(sweep.stopped(), IsEmpty());
}

TEST(EarlyStop, LetsACancelGoBeforeIt) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);
  sweep.evaluate(1, 50, 5.0);

  sweep.cancel(1);
  sweep.end(1, FailureClass::preempted);

  EXPECT_EQ(sweep.run(1), RunState::cancelled);
}

TEST(EarlyStop, SparesARunThatAnotherWaitsFor) {
  Play sweep = contest(2);
  Gate gate;
  gate.parents = {{.node = 1}};
  ASSERT_TRUE(connect(sweep.state, {{4, gate}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  sweep.evaluate(0, 50, 4.0);

  sweep.evaluate(1, 50, 5.0);

  EXPECT_THAT(sweep.stopped(), IsEmpty());
}

TEST(EarlyStop, HearsALossThatIsNoNumberAsNothing) {
  Play sweep = contest();
  sweep.evaluate(0, 50, 4.0);

  sweep.evaluate(1, 50, std::numeric_limits<double>::quiet_NaN());

  EXPECT_THAT(sweep.stopped(), IsEmpty());
}

// ---- By the law ---------------------------------------------------------------------------------

constexpr Foresight kRule = {.after = 0.5, .within = 0.01};
constexpr Foreseen kNarrow = {.loss = 4.0, .low = 3.99, .high = 4.02, .interval = 0.9};

TEST(Foresight, WaitsForItsPartOfTheTokensAndANarrowInterval) {
  EXPECT_TRUE(suffices(kRule, kNarrow, 0.5, 4.5));
  EXPECT_FALSE(suffices(kRule, kNarrow, 0.49, 4.5));
  EXPECT_FALSE(suffices(kRule, {.loss = 4.0, .low = 3.97, .high = 4.02}, 0.5, 4.5));
}

TEST(Foresight, LetsARunGoOnThatIsBetterThanTheLawAllows) {
  EXPECT_TRUE(suffices(kRule, kNarrow, 0.8, 3.99));
  EXPECT_FALSE(suffices(kRule, kNarrow, 0.8, 3.98));
}

TEST(Foresight, EndsARunAtItsFirstEvaluationThatIsLateEnough) {
  Play sweep(2, slots(2));
  sweep.state.sweeps[0].foresight = kRule;
  for (RunNode& node : sweep.state.nodes) node.contestant.tokens = 100;
  sweep.state.nodes[1].foreseen = kNarrow;
  sweep.tick();

  sweep.evaluate(1, 40, 4.6);
  EXPECT_THAT(sweep.stopped(), IsEmpty());
  sweep.evaluate(0, 60, 4.6);
  EXPECT_THAT(sweep.stopped(), IsEmpty()) << "no law says anything of it";
  sweep.evaluate(1, 60, 4.4);

  EXPECT_THAT(sweep.stopped(), ElementsAre(1));
  sweep.end(1, {.failure = FailureClass::preempted, .progressed = true});
  EXPECT_EQ(sweep.run(1), RunState::stopped);
  EXPECT_THAT(sweep.reason(1), HasSubstr("the law predicts its final loss"));
}

TEST(Foresight, LeavesACompleteRunItsResult) {
  Play sweep(1);
  sweep.state.sweeps[0].foresight = kRule;
  sweep.state.nodes[0].contestant.tokens = 100;
  sweep.state.nodes[0].foreseen = kNarrow;
  sweep.tick();

  sweep.evaluate(0, 100, 4.0);

  EXPECT_THAT(sweep.stopped(), IsEmpty());
}

}  // namespace
}  // namespace ration::scheduler
