#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/unsynced_files.h"
#include "fuse/folder.h"
#include "fuse/lock.h"
#include "fuse/world.h"
#include "merge/merge.h"

namespace ration::fuse {
namespace {

using test::Numbers;
using test::read_model;
using test::World;
using test::write_model;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> verdicts(const RoundRecord& record) {
  std::vector<std::string> all;
  for (const Contribution& each : record.contributions)
    all.push_back(fmt::format("{} {}", each.contributor, name(each.verdict)));
  return all;
}

Json contributors(const std::string& ids) {
  Json list = Json::array();
  for (const char id : ids) list.push_back({{"id", std::string(1, id)}});
  return list;
}

TEST(SyncFusion, OfOneRoundIsTheUniformAverageOfTheContributions) {
  World world;

  const Summary summary = world.carried_out(world.config({{"rounds", 1}}));

  ASSERT_THAT(summary.rounds, SizeIs(1));
  const RoundRecord& round = summary.rounds[0];
  merge::Recipe recipe;
  std::vector<checkpoint::Checkpoint> models;
  for (const Contribution& each : round.contributions)
    models.push_back(checkpoint::Checkpoint::open(real_files(), each.file).value());
  merge::Inputs inputs;
  for (std::size_t i = 0; i < models.size(); ++i) {
    recipe.models.push_back(round.contributions[i].contributor);
    inputs.models.push_back({recipe.models.back(), &models[i], nullptr});
  }
  ASSERT_TRUE(merge::merge_to_file(unsynced_files(), recipe, inputs, world.scratch / "m", {}));
  EXPECT_EQ(real_files().read(round.next_file).value(),
            real_files().read(world.scratch / "m").value());
  EXPECT_EQ(summary.exit_code(), 0);
}

TEST(SyncFusion, OfOneContributorIsSequentialFineTuning) {
  World world;

  const Summary summary =
      world.carried_out(world.config({{"rounds", 3}, {"contributor", contributors("a")}}));

  for (const RoundRecord& round : summary.rounds) {
    EXPECT_EQ(read_model(round.next_file), read_model(round.contributions[0].file));
    EXPECT_EQ(round.contributions[0].trained_from, round.base);
    EXPECT_THAT(round.warnings, ElementsAre(HasSubstr("one contribution alone was accepted")));
  }
  EXPECT_EQ(summary.rounds[1].base, summary.rounds[0].next);
  EXPECT_THAT(world.trained, ElementsAre("a 1", "a 2", "a 3"));
}

TEST(SyncFusion, DrawsContributorsAndSeedsAnewInEachRound) {
  World world;
  const Config config = world.config(
      {{"rounds", 6}, {"contributors_per_round", 2}, {"contributor", contributors("abcdef")}});

  const Summary summary = world.carried_out(config);

  std::set<std::string> who;
  for (const RoundRecord& round : summary.rounds) {
    EXPECT_THAT(round.contributions, SizeIs(2));
    for (const Contribution& each : round.contributions) who.insert(each.contributor);
    EXPECT_EQ(round.tokens(), 200);
  }
  EXPECT_GT(who.size(), 3U);
}

TEST(SyncFusion, GoesOnWithMoreRoundsAndRefusesAnythingElse) {
  World world;
  const Summary two = world.carried_out(world.config({{"rounds", 2}}));
  const Summary three = world.carried_out(world.config({{"rounds", 3}}));

  EXPECT_EQ(three.rounds[1].next, two.base);
  EXPECT_THAT(world.trained, SizeIs(9)) << "nothing twice";
  const Result<Summary> other = world.carry_out(world.config({{"rounds", 3}, {"eta", 0.5}}));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::usage);
  EXPECT_THAT(other.error().what, HasSubstr("config/eta differs"));
  write_model(world.scratch / "base.safetensors", {1, 2});
  EXPECT_THAT(world.carry_out(world.config({{"rounds", 3}})).error().what,
              HasSubstr("its base is"));
}

TEST(SyncFusion, GoesOnFromNoBaseOrVelocityThatWasChanged) {
  for (const std::string part : {"bases", "velocities"}) {
    SCOPED_TRACE(part);
    World world;
    const Json momentum = {{"rounds", 1}, {"momentum", 0.5}};
    const Summary one = world.carried_out(world.config(momentum));
    const std::string name = part == "bases" ? one.base : one.rounds[0].velocity;
    const Path file = world.folder() / part / (name + ".safetensors");
    const std::string sound = world.files.read(file).value();
    ASSERT_TRUE(world.files.write_whole(file, sound.substr(0, sound.size() - 1) + "!"));

    const Result<Summary> next = world.carry_out(world.config({{"rounds", 2}, {"momentum", 0.5}}));

    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().kind, ErrorKind::input);
    EXPECT_THAT(next.error().what, HasSubstr(name + ".safetensors was changed"));
    EXPECT_FALSE(replay(world.files, world.folder()));
    ASSERT_TRUE(world.files.write_whole(file, sound));
    EXPECT_TRUE(world.carry_out(world.config({{"rounds", 2}, {"momentum", 0.5}})));
  }
}

TEST(SyncFusion, DoesNotGoOnWithoutItsJournal) {
  World world;
  world.carried_out(world.config({{"rounds", 1}}));
  ASSERT_TRUE(world.files.remove_all(world.folder() / "journal.jsonl"));

  const Result<Summary> next = world.carry_out(world.config({{"rounds", 2}}));

  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().what, HasSubstr("journal.jsonl is gone, and 1 round of this fusion is"));
}

TEST(SyncFusion, IsLeftByCtrlCWhileItWaitsForADeadline) {
  World world;
  Hands hands = world.hands();
  hands.interrupted = [] { return true; };
  const Json guest = {{{"id", "guest"}, {"external", true}}, {{"id", "host"}, {"external", true}}};
  const Config config = world.config({{"contributor", guest}, {"deadline_s", 60}, {"quorum", 1.0}});

  const Result<Summary> left = carry_out(config, world.setup(), hands, world.files, world.clock, 1);

  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().kind, ErrorKind::interrupted);
}

TEST(SyncFusion, SameManifestsMakeTheSameBytes) {
  World world;
  const Config config = world.config(
      {{"op", "ties"}, {"eta", 0.7}, {"momentum", 0.3}, {"clip", true}, {"rounds", 3}});
  world.carried_out(config, "one");
  world.carried_out(config, "two/part");

  auto one = world.files_of("one");
  auto two = world.files_of("two/part");
  for (auto* const files : {&one, &two})
    for (auto& [file, text] : *files)  // paths to the runs begin in other folders
      for (std::size_t at = text.find("\"../"); file.ends_with("json") && at != std::string::npos;
           at = text.find("\"../"))
        text.erase(at + 1, 3);
  one.erase("journal.jsonl");  // holds sums of such lines
  two.erase("journal.jsonl");
  EXPECT_EQ(one, two);
  EXPECT_THAT(fusions(real_files(), world.scratch / "store").value(),
              ElementsAre("one", "two/part"));
}

TEST(SyncFusion, ReplayMakesTheSameHashes) {
  for (const Json& changes : {Json{{"op", "mean"}},
                              Json{{"op", "ties"}, {"eta", 0.5}, {"momentum", 0.9}},
                              Json{{"op", "median"}, {"clip", true}},
                              Json{{"op", {{"method", "dare_linear"}, {"density", 0.5}}}},
                              Json{{"mode", "async"}, {"rounds", 3}}}) {
    World world;
    const Summary summary = world.carried_out(world.config(changes));

    const Result<std::vector<Replayed>> again = replay(real_files(), world.folder(), 1);

    ASSERT_TRUE(again) << again.error().describe();
    EXPECT_THAT(*again, SizeIs(summary.of * (changes.contains("mode") ? 3 : 1)));
    for (const Replayed& each : *again) EXPECT_EQ(each.now, each.before) << changes.dump();
    EXPECT_EQ(again->back().now, summary.base);
  }
}

TEST(SyncFusion, ReplayNamesTheContributionThatWasChanged) {
  World world;
  const Summary summary = world.carried_out(world.config());
  write_model(summary.rounds[1].contributions[1].file, world.start);

  const Result<std::vector<Replayed>> again = replay(real_files(), world.folder(), 1);

  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().what, HasSubstr("round 2: "));
  EXPECT_THAT(again.error().what, HasSubstr("of b is another file"));
}

TEST(Screening, KeepsTheBaseWhereAllAreRejected) {
  World world;
  write_model(world.scratch / "same.safetensors", world.start);
  for (const char* const id : {"a", "b", "c"}) world.sends[id] = world.scratch / "same.safetensors";

  const Summary summary = world.carried_out(world.config({{"rounds", 1}}));

  const RoundRecord& round = summary.rounds[0];
  EXPECT_EQ(round.status, RoundStatus::empty);
  EXPECT_EQ(round.next, round.base);
  EXPECT_THAT(verdicts(round), ElementsAre("a rejected", "b rejected", "c rejected"));
  EXPECT_THAT(round.contributions[0].reason, HasSubstr("norm: no change"));
}

TEST(Screening, RefusesBrokenUploadsEachWithItsReason) {
  World world;
  Numbers broken = world.start;
  broken[7] = std::numeric_limits<double>::quiet_NaN();
  write_model(world.scratch / "nan", broken);
  write_model(world.scratch / "short", {1, 2, 3});
  ASSERT_TRUE(unsynced_files().write_whole(world.scratch / "torn", "\xff\xff\xff\xff"));
  const std::vector<std::byte> bytes(8);
  ASSERT_TRUE(checkpoint::write_safetensors(
      unsynced_files(), world.scratch / "named", {{"v", checkpoint::DType::f32, {2}, bytes}}));
  world.sends = {{"a", world.scratch / "nan"},
                 {"b", world.scratch / "short"},
                 {"c", world.scratch / "torn"},
                 {"d", world.scratch / "named"}};

  const Summary summary =
      world.carried_out(world.config({{"rounds", 1}, {"contributor", contributors("abcde")}}));

  const std::vector<Contribution>& all = summary.rounds[0].contributions;
  EXPECT_THAT(verdicts(summary.rounds[0]),
              ElementsAre("a rejected", "b rejected", "c rejected", "d rejected", "e accepted"));
  EXPECT_THAT(all[0].reason, HasSubstr("tensor \"w\" of a holds NaN or infinity at element 7"));
  EXPECT_THAT(all[1].reason, HasSubstr("tensor \"w\": shape [40] in the base, [3] in b"));
  EXPECT_THAT(all[2].reason, HasSubstr("torn"));
  EXPECT_THAT(all[3].reason, HasSubstr("missing in d"));
  EXPECT_EQ(read_model(summary.base_file), read_model(all[4].file));
  EXPECT_THAT(summary.rounds[0].warnings, ElementsAre(HasSubstr("one contribution")));
}

TEST(Screening, RefusesATenfoldTaskVectorAndFusesTheOthers) {
  World world;
  const Config clean = world.config({{"contributor", contributors("abcdef")}, {"rounds", 1}});
  Config attacked = world.config(
      {{"contributor", contributors("abcdef")}, {"rounds", 1}, {"faults", {{"c", "scale:10"}}}});

  const Summary summary = world.carried_out(attacked, "attacked");
  const Summary good = world.carried_out(clean, "clean");
  attacked.screen.clear();
  const Summary open = world.carried_out(attacked, "open");

  EXPECT_EQ(summary.rounds[0].contributions[2].verdict, Verdict::rejected);
  EXPECT_THAT(summary.rounds[0].contributions[2].reason, HasSubstr("norm: |tau| is"));
  EXPECT_NEAR(
      summary.rounds[0].contributions[2].norm, 10 * good.rounds[0].contributions[2].norm, 1e-4);
  EXPECT_THAT(summary.rounds[0].warnings, ElementsAre(HasSubstr("of c are altered")));
  EXPECT_EQ(open.rounds[0].contributions[2].verdict, Verdict::accepted);
}

TEST(Screening, LooksAtTheProbeAndAllowsWhatAllContributionsCost) {
  World world;
  world.goals["c"] = Numbers(world.start.size(), 50);
  world.probe = [](const Numbers& model) {
    double size = 0;
    for (const double number : model) size += number * number;
    return Numbers(8, 1 + 0.001 * size);
  };

  const Summary summary = world.carried_out(
      world.config({{"rounds", 1}, {"probe", {"p"}}, {"screen", {"probe"}}, {"rollback", false}}));

  EXPECT_THAT(verdicts(summary.rounds[0]), ElementsAre("a accepted", "b accepted", "c rejected"));
  EXPECT_THAT(summary.rounds[0].contributions[2].reason, HasSubstr("probe: the probe's loss"));
  EXPECT_FALSE(std::isnan(summary.rounds[0].probe_before));
}

TEST(Screening, DropsWhomTheFusionIsBetterWithout) {
  World world;
  world.goals["b"] = Numbers(world.start.size(), 9);
  world.probe = [&](const Numbers& model) {
    double apart = 0;
    for (std::size_t i = 0; i < model.size(); ++i)
      apart += (model[i] - world.start[i]) * (model[i] - world.start[i]);
    return Numbers{1 + apart, 2 + apart, 3 + 1.01 * apart};
  };

  const Summary summary = world.carried_out(world.config(
      {{"rounds", 1}, {"probe", {"p"}}, {"screen", {"leave_one_out"}}, {"rollback", false}}));

  EXPECT_EQ(summary.rounds[0].contributions[1].verdict, Verdict::rejected);
  EXPECT_THAT(summary.rounds[0].contributions[1].reason, HasSubstr("leave_one_out"));
}

TEST(Rollback, HalvesTheStepOnceAndThenKeepsTheBase) {
  const auto carried = [](double limit) {
    World world;
    world.probe = [&world, limit](const Numbers& model) {
      double apart = 0;
      for (std::size_t i = 0; i < model.size(); ++i)
        apart += (model[i] - world.start[i]) * (model[i] - world.start[i]);
      return Numbers(4, std::sqrt(apart) > limit ? 3 : 1);
    };
    Config config = world.config(
        {{"rounds", 1}, {"probe", {"p"}}, {"screen", Json::array()}, {"momentum", 0.5}});
    return world.carried_out(config).rounds[0];
  };

  const RoundRecord far = carried(1e9), half = carried(0.9), none = carried(1e-3);

  EXPECT_EQ(far.eta, 1);
  EXPECT_EQ(far.status, RoundStatus::fused);
  EXPECT_EQ(half.eta, 0.5);
  EXPECT_EQ(half.status, RoundStatus::fused);
  EXPECT_THAT(half.warnings, ElementsAre(HasSubstr("with eta = 1 the probe's loss grows")));
  EXPECT_EQ(none.status, RoundStatus::rolled_back);
  EXPECT_EQ(none.next, none.base);
  EXPECT_THAT(none.velocity, IsEmpty());
}

TEST(Weights, AreThoseOfTheContributorsOrTheirTokens) {
  World world;
  Json list = contributors("ab");
  list[0]["weight"] = 3;
  const auto weights = [&](const std::string& by) {
    const Config config = world.config({{"rounds", 1}, {"contributor", list}, {"weights", by}});
    std::vector<double> all;
    for (const Contribution& each : world.carried_out(config, by).rounds[0].contributions)
      all.push_back(each.weight);
    return all;
  };
  EXPECT_THAT(weights("given"), ElementsAre(3, 1));
  EXPECT_THAT(weights("uniform"), ElementsAre(1, 1));
  EXPECT_THAT(weights("tokens"), ElementsAre(100, 100));
  EXPECT_THAT(weights("inverse_loss"), ElementsAre(0.5, 0.5));
}

TEST(SyncFusion, ReplayWaitsForNobodyWhoWorksOnTheFusion) {
  World world;
  world.carried_out(world.config());
  {
    const Result<Lock> other = Lock::take(world.folder());
    ASSERT_TRUE(other);

    const Result<std::vector<Replayed>> refused = replay(real_files(), world.folder(), 1);

    ASSERT_FALSE(refused);
    EXPECT_EQ(exit_code(refused.error().kind), 2);
    EXPECT_THAT(refused.error().what, HasSubstr("another process works on"));
  }
  EXPECT_TRUE(replay(real_files(), world.folder(), 1));
}

TEST(AsyncFusion, SaysWhoseContributionsAnExperimentAltered) {
  World world;
  const Summary summary = world.carried_out(world.config(
      {{"mode", "async"}, {"rounds", 1}, {"faults", {{"*", "flip"}, {"b", "fail:0"}}}}));

  EXPECT_THAT(summary.rounds[0].warnings,
              ElementsAre(HasSubstr("of a are altered"), HasSubstr("of c are altered")));
}

}  // namespace
}  // namespace ration::fuse
