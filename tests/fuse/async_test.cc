#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuse/world.h"

namespace ration::fuse {
namespace {

using test::Numbers;
using test::read_model;
using test::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(AsyncFusion, OfOneContributorAndAWholeStepIsSequentialFineTuning) {
  World world;
  const Json one = {{"mode", "async"}, {"rounds", 3}, {"contributor", {{{"id", "a"}}}}};
  const Summary async = world.carried_out(world.config(one), "async");
  Json sync = one;
  sync["mode"] = "sync";
  const Summary sequential = world.carried_out(world.config(sync), "sync");

  for (std::size_t round = 0; round < 3; ++round) {
    EXPECT_EQ(async.rounds[round].contributions[0].staleness, 0);
    EXPECT_EQ(read_model(async.rounds[round].next_file),
              read_model(async.rounds[round].contributions[0].file));
    EXPECT_EQ(read_model(async.rounds[round].next_file),
              read_model(sequential.rounds[round].next_file));
  }
}

// Each version is rounded to f32, so it is the synchronous result up to that and not byte for byte.
TEST(AsyncFusion, FromOneBaseWithEqualStepsIsTheSynchronousMean) {
  World world;
  const Summary async = world.carried_out(
      world.config({{"mode", "async"}, {"rounds", 1}, {"eta", 1.0 / 3}, {"gamma", 1}}), "async");
  const Summary sync = world.carried_out(world.config({{"rounds", 1}}), "sync");

  const Numbers a = read_model(async.base_file), b = read_model(sync.base_file);
  for (std::size_t j = 0; j < a.size(); ++j) EXPECT_NEAR(a[j], b[j], 1e-6);
  const std::vector<Contribution>& all = async.rounds[0].contributions;
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].staleness, static_cast<std::int64_t>(i));
    EXPECT_EQ(all[i].trained_from, async.rounds[0].base);
  }
  EXPECT_EQ(all[2].made, async.base);
}

TEST(AsyncFusion, StartsEachPlaceFromTheVersionThatItsLastArrivalMade) {
  World world;
  const Summary summary =
      world.carried_out(world.config({{"mode", "async"}, {"rounds", 3}, {"gamma", 0.5}}));

  for (std::size_t round = 1; round < 3; ++round)
    for (std::size_t i = 0; i < 3; ++i) {
      const Contribution& now = summary.rounds[round].contributions[i];
      EXPECT_EQ(now.trained_from, summary.rounds[round - 1].contributions[i].made);
      EXPECT_EQ(now.staleness, 2) << "two others arrived since";
      EXPECT_EQ(now.weight, 0.25);
    }
}

TEST(AsyncFusion, AddsTheTaskVectorOfAnOlderVersionWithItsWeight) {
  World world;
  const Summary summary = world.carried_out(
      world.config({{"mode", "async"}, {"rounds", 1}, {"eta", 0.8}, {"gamma", 0.5}}));

  const std::vector<Contribution>& all = summary.rounds[0].contributions;
  Numbers expected = read_model(summary.rounds[0].base_file);
  const Numbers first = expected;
  double weight = 0.8;
  for (const Contribution& each : all) {
    const Numbers model = read_model(each.file);
    for (std::size_t j = 0; j < expected.size(); ++j) expected[j] += weight * (model[j] - first[j]);
    weight *= 0.5;
  }
  const Numbers last = read_model(summary.base_file);
  for (std::size_t j = 0; j < last.size(); ++j) EXPECT_NEAR(last[j], expected[j], 1e-6);
}

TEST(AsyncFusion, RejectsWhatIsTooOld) {
  World world;
  const Summary summary =
      world.carried_out(world.config({{"mode", "async"}, {"rounds", 1}, {"staleness_max", 1}}));

  const std::vector<Contribution>& all = summary.rounds[0].contributions;
  EXPECT_EQ(all[1].verdict, Verdict::accepted);
  EXPECT_EQ(all[2].verdict, Verdict::rejected);
  EXPECT_THAT(all[2].reason, HasSubstr("2 versions old, staleness_max = 1"));
  EXPECT_EQ(all[2].made, all[1].made);
}

TEST(AsyncFusion, GoesOnWithoutThoseThatFail) {
  World world;
  world.failing = {"a"};
  const Summary summary = world.carried_out(world.config({{"mode", "async"}, {"rounds", 2}}));

  EXPECT_EQ(summary.rounds[0].contributions[0].verdict, Verdict::absent);
  EXPECT_EQ(summary.rounds[0].contributions[0].made, summary.rounds[0].base);
  EXPECT_EQ(summary.rounds[1].contributions[1].trained_from,
            summary.rounds[0].contributions[1].made);
  EXPECT_EQ(summary.rounds[0].status, RoundStatus::fused);
}

}  // namespace
}  // namespace ration::fuse
