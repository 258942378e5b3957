#include "loop/decide.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "loop/world.h"

namespace ration::loop {
namespace {

using test::options;
using test::World;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Decision first(const World& world, const Options& wanted) {
  return decide(world.runs, wanted, 1).value().decision;
}

TEST(Loop, BeginsWithEnoughSettingsThatDifferInEverything) {
  const World world;

  const Decision decision = first(world, options());

  EXPECT_EQ(decision.verdict, Verdict::start);
  ASSERT_GE(decision.runs.size(), test::law().size() + 2);
  std::set<double> params, unique, epochs;
  std::set<std::string> settings;
  for (const Pick& pick : decision.runs) {
    params.insert(pick.params);
    unique.insert(pick.unique_tokens);
    epochs.insert(std::round(pick.tokens / pick.unique_tokens));
    settings.insert(fmt::format("{} {} {}", pick.params, pick.tokens, pick.unique_tokens));
  }
  EXPECT_EQ(settings.size(), decision.runs.size());
  EXPECT_GE(params.size(), 3U);
  EXPECT_GE(unique.size(), 3U);
  EXPECT_GE(epochs.size(), 3U);
  EXPECT_GT(*epochs.rbegin(), 5) << "repeats that show the decay";
  EXPECT_THAT(decision.doubt, HasSubstr("0 of the 9 settings"));
}

TEST(Loop, DecidesTheSameInAnyOrderOfTheRunsAndWithAnyNumberOfThreads) {
  World world;
  world.finish(first(world, options()));
  const Decision decision = decide(world.runs, options(), 2).value().decision;
  ASSERT_EQ(decision.verdict, Verdict::start);

  std::reverse(world.runs.begin(), world.runs.end());
  Options threaded = options();
  threaded.threads = 3;

  EXPECT_EQ(decide(world.runs, options(), 2).value().decision, decision);
  EXPECT_EQ(decide(world.runs, threaded, 2).value().decision, decision);
}

TEST(Loop, SaysInADigestWhatADecisionWasMadeFrom) {
  World world;
  const std::string digest = first(world, options()).made_from;
  EXPECT_THAT(digest, SizeIs(32));
  EXPECT_EQ(first(world, options()).made_from, digest);

  Options dearer = options();
  dearer.spend = Flops(world.total());
  EXPECT_NE(first(world, dearer).made_from, digest);
  EXPECT_NE(decide(world.runs, options(), 2)->decision.made_from, digest);
  world.finish(world.runs[3]);
  EXPECT_NE(first(world, options()).made_from, digest);
}

TEST(Loop, PaysForRunsThatDivergeAndTakesNoDataFromThem) {
  World world;
  const Decision start = first(world, options());
  double flops = 0;
  for (const Pick& pick : start.runs) flops += pick.flops;
  world.finish(start, RunStatus::diverged);

  const Decision next = decide(world.runs, options(), 2)->decision;

  EXPECT_EQ(next.verdict, Verdict::start);
  EXPECT_EQ(next.done, 0);
  EXPECT_EQ(next.diverged, static_cast<std::int64_t>(start.runs.size()));
  EXPECT_NEAR(next.spent_flops, flops, 1e-9 * flops);
  EXPECT_THAT(next.law, IsEmpty());
}

TEST(Loop, TakesWhatIsFinishedAlreadyForFree) {
  World world;
  for (loop::Run& run : world.runs)
    if (cost(run).value < 2e19) world.finish(run);

  const Decision decision = first(world, options("interval(epochs) < 90%"));

  EXPECT_EQ(decision.verdict, Verdict::reached) << decision.why << decision.doubt;
  EXPECT_EQ(decision.spent_flops, 0);
  EXPECT_GT(decision.free_flops, 0);
}

TEST(Loop, EndsAtFailedRunsUnlessItIsToKeepGoing) {
  World world;
  const Decision start = first(world, options());
  world.finish(start);
  world.of(start.runs[0].run).status = RunStatus::failed;
  Options stubborn = options();
  stubborn.keep_going = true;

  const Decision stopped = decide(world.runs, options(), 2)->decision;

  EXPECT_EQ(stopped.verdict, Verdict::failures);
  EXPECT_THAT(stopped.why, HasSubstr("`ration explain " + start.runs[0].run));
  EXPECT_EQ(decide(world.runs, stubborn, 2)->decision.verdict, Verdict::start);
}

TEST(Loop, RepeatsSettingsWhenNoNewOneIsLeft) {
  World world(0.005, 2);
  for (loop::Run& run : world.runs)
    if (run.id.ends_with("-0")) world.finish(run);

  const Decision decision = first(world, options("interval(epochs) < 0.1%"));

  ASSERT_EQ(decision.verdict, Verdict::start) << decision.why;
  EXPECT_THAT(decision.why, HasSubstr("no new setting is left"));
  for (const Pick& pick : decision.runs) EXPECT_TRUE(pick.run.ends_with("-1"));
}

TEST(Loop, OffersOneReplicaOfASettingAtATime) {
  World world(0.005, 3);
  std::set<std::string> settings;
  for (const Pick& pick : first(world, options()).runs) settings.insert(world.of(pick.run).cell);
  EXPECT_EQ(settings.size(), first(world, options()).runs.size());
}

TEST(Loop, EndsWhenNoRunIsLeft) {
  World world;
  for (loop::Run& run : world.runs) world.finish(run);

  const Decision decision = first(world, options("interval(epochs) < 0.01%"));

  EXPECT_EQ(decision.verdict, Verdict::used_up);
  EXPECT_TRUE(decision.goal[0].value) << "the interval that was reached is said";
}

TEST(Loop, StartsNothingWhereTheSweepHasTooFewSettings) {
  World world;
  world.runs.resize(5);

  const Decision decision = first(world, options());

  EXPECT_EQ(decision.verdict, Verdict::used_up);
  EXPECT_THAT(decision.why, HasSubstr("5 settings"));
}

TEST(Loop, DoesNotTakeASmallIntervalOfAnUntrustedFit) {
  World world;
  for (loop::Run& run : world.runs)
    if (run.params.value < 2e7) world.finish(run);  // one size: no exponent of N

  const Decision decision = first(world, options("interval(loss) < 100"));

  EXPECT_FALSE(decision.trusted);
  EXPECT_TRUE(decision.goal[0].reached) << "wide enough for any fit";
  EXPECT_EQ(decision.verdict, Verdict::start);
  EXPECT_THAT(decision.doubt, HasSubstr("same number of parameters"));
}

TEST(Loop, RefusesOptionsThatMakeNoSense) {
  Options wrong = options();
  wrong.plan.budget = Flops(-1);
  wrong.spend = Flops(0);
  wrong.batch = 0;
  wrong.resamples = 0;
  wrong.gamma = 3;

  const Result<Decided> decided = decide({}, wrong, 1);

  ASSERT_FALSE(decided);
  EXPECT_EQ(decided.error().kind, ErrorKind::usage);
  EXPECT_GE(decided.error().causes.size(), 5U);
}

}  // namespace
}  // namespace ration::loop
