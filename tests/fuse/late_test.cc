#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "fuse/world.h"

namespace ration::fuse {
namespace {

using test::Numbers;
using test::read_model;
using test::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<std::string> verdicts(const RoundRecord& record) {
  std::vector<std::string> all;
  for (const Contribution& each : record.contributions)
    all.push_back(fmt::format("{} {} {}", each.contributor, name(each.verdict), each.staleness));
  return all;
}

TEST(Absence, OfTheFailedIsNamedAndTheOthersAreFused) {
  World world;
  world.failing = {"b"};

  const Summary summary = world.carried_out(world.config({{"rounds", 1}}));

  EXPECT_THAT(verdicts(summary.rounds[0]),
              ElementsAre("a accepted 0", "b absent 0", "c accepted 0"));
  EXPECT_EQ(summary.rounds[0].contributions[1].reason, "out of luck");
  EXPECT_EQ(summary.rounds[0].tokens(), 200);
}

TEST(Absence, OfTooManyStallsTheRoundUntilSomebodyIsTriedAgain) {
  World world;
  world.failing = {"a", "b"};
  const Config config = world.config({{"rounds", 1}, {"quorum", 0.6}});

  const Summary stalled = world.carried_out(config);
  world.failing = {"a"};
  const Summary done = world.carried_out(config);

  EXPECT_THAT(stalled.waiting, HasSubstr("round 1 has 1 of 3 contributions, 2 are needed"));
  EXPECT_EQ(stalled.exit_code(), 5);
  EXPECT_THAT(stalled.rounds, SizeIs(0));
  EXPECT_THAT(done.rounds, SizeIs(1));
  EXPECT_THAT(world.trained, ElementsAre("c 1", "b 1"));
}

TEST(Absence, EndsTheFusionOrIsAcceptedAsThePolicySays) {
  World world;
  world.failing = {"a", "b"};
  const Json strict = {{"rounds", 1}, {"quorum", 1}};
  Config anyway = world.config(strict), abort = world.config(strict);
  anyway.on_stall = Stall::fuse_anyway;
  abort.on_stall = Stall::abort;

  EXPECT_EQ(world.carried_out(anyway, "anyway").rounds[0].status, RoundStatus::fused);
  const Result<Summary> aborted = world.carry_out(abort, "abort");
  ASSERT_FALSE(aborted);
  EXPECT_THAT(aborted.error().what, HasSubstr("round 1 is aborted: 1 of 3"));
  EXPECT_THAT(world.carry_out(abort, "abort").error().what, HasSubstr("was aborted"));
}

TEST(Absence, IsDrawnByTheSeedWhereAnExperimentAsks) {
  World world;
  const Config config =
      world.config({{"rounds", 20}, {"faults", {{"*", "fail:0.3"}}}, {"on_stall", "fuse_anyway"}});

  const Summary summary = world.carried_out(config);

  int absent = 0;
  for (const RoundRecord& round : summary.rounds)
    for (const Contribution& each : round.contributions)
      absent += each.verdict == Verdict::absent ? 1 : 0;
  EXPECT_NEAR(absent, 18, 11);  // 3 standard deviations of 60 draws
  EXPECT_THAT(world.trained, SizeIs(60 - absent));
}

TEST(Deadline, ClosesARoundThatHasItsQuorum) {
  World world;
  world.slow = {"b"};

  const Summary summary = world.carried_out(world.config({{"rounds", 2}, {"deadline_s", 60}}));

  EXPECT_THAT(verdicts(summary.rounds[0]),
              ElementsAre("a accepted 0", "b absent 0", "c accepted 0"));
  EXPECT_THAT(summary.rounds[0].contributions[1].reason, HasSubstr("not there when"));
  EXPECT_THAT(world.trained, ElementsAre("a 1", "c 1", "a 2", "c 2")) << "late = drop";
  EXPECT_EQ(world.clock.now, 1120);
}

TEST(Deadline, WithoutAQuorumWaitsForAllOrIsExtended) {
  World world;
  world.slow = {"a", "b"};
  const Json table = {{"rounds", 1}, {"deadline_s", 60}};

  const Summary waited = world.carried_out(world.config(table), "wait");
  EXPECT_THAT(verdicts(waited.rounds[0]),
              ElementsAre("a accepted 0", "b accepted 0", "c accepted 0"));

  world.clock.now = 1000;
  Config extended = world.config(table);
  extended.on_stall = Stall::extend;
  bool passed = false;
  Hands hands = world.hands();
  const auto train = hands.train;
  hands.train = [&](const std::vector<Task>& tasks, std::optional<double> until) {
    if (passed) world.slow.clear();
    passed = true;
    return train(tasks, until);
  };
  const Result<Summary> summary =
      carry_out(extended, world.setup("extend"), hands, world.files, world.clock, 1);
  ASSERT_TRUE(summary) << summary.error().describe();
  EXPECT_THAT(verdicts(summary->rounds[0]),
              ElementsAre("a accepted 0", "b accepted 0", "c accepted 0"));
  EXPECT_EQ(world.clock.now, 1120);
}

// Round 1 closes without b; in round 2 it is at its end.
Summary late_fusion(World& world, const std::string& policy, const Json& more = Json::object()) {
  Json table = {{"rounds", 2}, {"deadline_s", 60}, {"late", policy}};
  table.update(more);
  const Config config = world.config(table);
  world.slow = {"b"};
  Hands hands = world.hands();
  const auto train = hands.train;
  hands.train = [&world, train](const std::vector<Task>& tasks, std::optional<double> until) {
    if (tasks.back().round == 2) world.slow.clear();
    return train(tasks, until);
  };
  const Result<Summary> summary =
      carry_out(config, world.setup(policy), hands, world.files, world.clock, 1);
  EXPECT_TRUE(summary) << summary.error().describe();
  return *summary;
}

TEST(LateContribution, IsReplacedByAFreshOneOfTheSameContributor) {
  World world;
  const Summary summary = late_fusion(world, "next");
  EXPECT_THAT(verdicts(summary.rounds[1]),
              ElementsAre("a accepted 0", "b superseded 1", "b accepted 0", "c accepted 0"));
  EXPECT_THAT(summary.rounds[1].contributions[1].reason, HasSubstr("replaces it"));
}

TEST(LateContribution, IsAddedToTheNextRoundWithLessWeight) {
  World world;
  // b is in round 1 alone: in round 2 it fails, but its first contribution comes.
  world.noise = 0;
  const Config config =
      world.config({{"rounds", 2}, {"deadline_s", 60}, {"late", "next"}, {"gamma", 0.25}});
  world.slow = {"b"};
  Hands hands = world.hands();
  const auto train = hands.train;
  hands.train = [&world, train](const std::vector<Task>& tasks,
                                std::optional<double> until) -> Result<std::vector<Trained>> {
    if (tasks.back().round == 2) world.slow.clear();
    Result<std::vector<Trained>> all = train(tasks, until);
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (tasks[i].contributor->id == "b" && tasks[i].round == 2) (*all)[i] = Trained{};
    return all;
  };
  const Result<Summary> summary =
      carry_out(config, world.setup(), hands, world.files, world.clock, 1);

  ASSERT_TRUE(summary) << summary.error().describe();
  const RoundRecord& round = summary->rounds[1];
  EXPECT_THAT(verdicts(round),
              ElementsAre("a accepted 0", "b accepted 1", "b absent 0", "c accepted 0"));
  EXPECT_EQ(round.contributions[1].weight, 0.25);
  const Numbers base = read_model(round.base_file), a = read_model(round.contributions[0].file),
                b = read_model(round.contributions[1].file),
                c = read_model(round.contributions[3].file), next = read_model(round.next_file);
  const Numbers first = read_model(summary->rounds[0].base_file);
  for (std::size_t j = 0; j < base.size(); ++j)
    EXPECT_NEAR(next[j],
                base[j] + ((a[j] - base[j]) + 0.25 * (b[j] - first[j]) + (c[j] - base[j])) / 2.25,
                1e-6);
}

double dot(const Numbers& a, const Numbers& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Numbers minus(Numbers a, const Numbers& b) {
  for (std::size_t j = 0; j < a.size(); ++j) a[j] -= b[j];
  return a;
}

TEST(LateContribution, IsMeasuredAgainstTheStepOfTheRoundWhereThatIsAsked) {
  World world;
  world.probe = [](const Numbers& model) { return Numbers(2, std::sqrt(dot(model, model))); };
  const Summary summary = late_fusion(
      world,
      "log",
      {{"probe", {"p"}}, {"rollback", false}, {"probe_slack", 100}, {"faults", {{"c", "flip"}}}});

  const RoundRecord& round = summary.rounds[1];
  EXPECT_THAT(verdicts(round),
              ElementsAre("a accepted 0", "b late 1", "b accepted 0", "c accepted 0"));
  const Contribution& late = round.contributions[1];
  const Numbers base = read_model(round.base_file);
  const Numbers tau = minus(read_model(late.file), read_model(summary.rounds[0].base_file));
  const Numbers step = minus(read_model(round.next_file), base);
  Numbers moved = base;
  for (std::size_t j = 0; j < moved.size(); ++j) moved[j] += tau[j];
  // Files hold f32, of numbers about 1.
  EXPECT_NEAR(late.norm, std::sqrt(dot(tau, tau)), 1e-5);
  EXPECT_NEAR(late.cosine, dot(tau, step) / std::sqrt(dot(tau, tau) * dot(step, step)), 1e-5);
  EXPECT_NEAR(late.probe, std::sqrt(dot(moved, moved)), 1e-5);
  EXPECT_EQ(late.weight, 0);
}

TEST(LateContribution, ChangesNothingWhereItIsMeasured) {
  World dropped, logged;
  const Summary drop = late_fusion(dropped, "drop"), log = late_fusion(logged, "log");

  EXPECT_EQ(log.base, drop.base);
  EXPECT_EQ(log.rounds[1].contributions.size(), drop.rounds[1].contributions.size() + 1);
}

}  // namespace
}  // namespace ration::fuse
