#include "study/fusion/sweeps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace ration::study {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::Le;
using testing::SizeIs;

FusionStudy three_contributors() {
  FusionStudy study;
  study.arms = {{.name = "mean", .against = {}, .measures = {}, .config = {}}};
  fuse::Config& config = study.arms[0].config;
  config.rounds = 4;
  config.contributors_per_round = 2;
  config.fixed = {{"epochs", 3}, {"lr", 0.01}};
  for (const char* id : {"a", "b", "c"}) {
    fuse::Contributor each;
    each.id = id;
    config.contributors.push_back(each);
  }
  config.contributors[1].settings = {{"lr", 0.5}, {"unique_tokens", 640}};
  study.evaluate.tokens = 320;
  study.evaluate.few_shot = 64;
  study.evaluate.few_epochs = 2;
  study.evaluate.fixed = {{"tune", "norms"}};
  return study;
}

FusionGround ground() {
  FusionGround found;
  found.name = "small";
  found.model = {{"width", 8}};
  found.context = 16;
  for (const char* name : {"a", "b", "c", "d"})
    found.corpora.push_back({.name = name,
                             .data = std::string("/data/") + name,
                             .seen = *name != 'd',
                             .held_out = {.windows = 4}});
  return found;
}

const FusionWeights kStart = {.weights = {.run = {}, .step = 0, .sha256 = std::string(64, 'e')},
                              .file = "/bases/e"};

std::int64_t sum_of(const std::vector<std::int64_t>& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0});
}

TEST(Shares, AreWholeSequencesThatSumUpExactly) {
  for (const std::int64_t sequences : {0, 1, 5, 6, 7, 1000})
    for (const std::size_t parts : {1, 2, 3, 7}) {
      const std::vector<std::int64_t> found = shares(sequences * 16, parts, 16);

      EXPECT_THAT(found, SizeIs(parts));
      EXPECT_EQ(sum_of(found), sequences * 16);
      EXPECT_LE(found.front() - found.back(), 16);
      for (const std::int64_t part : found) EXPECT_EQ(part % 16, 0);
    }
}

TEST(OneShot, TrainsAllContributorsOnceOnAsManyTokens) {
  const FusionStudy study = three_contributors();

  const Result<fuse::Config> once = one_shot(study.arms[0].config, 16 * 100, 16);

  ASSERT_TRUE(once);
  EXPECT_EQ(once->rounds, 1);
  EXPECT_EQ(once->contributors_per_round, 0);
  EXPECT_FALSE(once->fixed.contains("epochs"));
  std::int64_t tokens = 0;
  for (const fuse::Contributor& each : once->contributors)
    tokens += each.settings.at("tokens").get<std::int64_t>();
  EXPECT_EQ(tokens, 16 * 100);
  EXPECT_EQ(once->contributors[1].settings.at("lr"), 0.5);
}

TEST(OneShot, RefusesLessThanASequenceForEach) {
  EXPECT_FALSE(one_shot(three_contributors().arms[0].config, 32, 16));
}

TEST(Controls, TrainOnExactlyAsManyTokensAsTheFirstArm) {
  const std::map<std::int64_t, std::int64_t> tokens = {{0, 16 * 100}, {5, 16 * 77}};

  const std::optional<Json> sweep = controls_sweep(three_contributors(), ground(), kStart, tokens);

  ASSERT_TRUE(sweep);
  std::map<std::int64_t, std::int64_t> together, in_turn;
  for (const Json& block : sweep->at("block")) {
    const Json& fixed = block.at("fixed");
    EXPECT_FALSE(fixed.contains("epochs"));
    EXPECT_EQ(fixed.at("width"), 8);
    auto& sum = fixed.contains("aux_share") ? together : in_turn;
    sum[fixed.at("seed").get<std::int64_t>()] += fixed.at("tokens").get<std::int64_t>();
  }
  EXPECT_EQ(together, tokens);
  EXPECT_EQ(in_turn, tokens);
}

TEST(Controls, MixTheContributorsInEqualParts) {
  FusionStudy study = three_contributors();
  study.controls.sequential = false;

  const Json sweep = controls_sweep(study, ground(), kStart, {{0, 1600}}).value();

  ASSERT_THAT(sweep.at("block"), SizeIs(1));
  EXPECT_EQ(sweep["block"][0]["data"], "/data/a");
  EXPECT_DOUBLE_EQ(sweep["block"][0]["fixed"]["aux_share"].get<double>(), 2.0 / 3);
  EXPECT_EQ(sweep["block"][0]["fixed"]["aux"], "c1,c2");
  EXPECT_EQ(sweep["block"][0]["fixed"]["init"], "file:/bases/e");
  EXPECT_EQ(sweep["sources"], Json::parse(R"({"c1": {"data": "/data/b", "unique_tokens": 640},
                            "c2": {"data": "/data/c"}})"));
}

TEST(Controls, InTurnBeginEachWithTheOneBefore) {
  FusionStudy study = three_contributors();
  study.controls.multitask = false;

  const Json sweep = controls_sweep(study, ground(), kStart, {{7, 16 * 4}}).value();

  EXPECT_FALSE(sweep.contains("sources"));
  ASSERT_THAT(sweep.at("block"), SizeIs(3));
  std::set<std::string> visited;
  for (std::size_t visit = 0; visit < 3; ++visit) {
    const Json& block = sweep["block"][visit];
    EXPECT_EQ(block["name"], sequential_block(7, visit));
    EXPECT_EQ(block["fixed"]["init"],
              visit == 0 ? "file:/bases/e" : "block:" + sequential_block(7, visit - 1));
    visited.insert(block["data"].get<std::string>());
  }
  EXPECT_THAT(visited, ElementsAre("/data/a", "/data/b", "/data/c"));
}

TEST(Controls, AreNoSweepWhereNobodyWantsThem) {
  FusionStudy study = three_contributors();
  study.controls = {.multitask = false, .one_shot = true, .sequential = false};

  EXPECT_FALSE(controls_sweep(study, ground(), kStart, {{0, 1600}}));
}

TEST(Visits, FollowTheSeedAlone) {
  EXPECT_EQ(order_of_visits(6, 3), order_of_visits(6, 3));
  std::set<std::vector<std::uint32_t>> orders;
  for (std::int64_t seed = 0; seed < 20; ++seed) orders.insert(order_of_visits(6, seed));
  EXPECT_THAT(orders.size(), Ge(15U));
}

TEST(Tuning, AsksForEachRunOnce) {
  FusionWeights of_run;
  of_run.weights.run = std::string(32, 'a');
  std::vector<TuningJob> jobs;
  for (const FusionWeights& base : {kStart, of_run, kStart})
    for (const Measure measure : {Measure::fine_tuned, Measure::few_shot})
      for (const std::int64_t seed : {0, 4})
        jobs.push_back({.base = base, .corpus = 3, .seed = seed, .measure = measure});

  const Json sweep = tuning_sweep(three_contributors(), ground(), jobs);

  ASSERT_THAT(sweep.at("block"), SizeIs(2));
  std::set<std::string> keys;
  for (const Json& block : sweep["block"]) {
    EXPECT_THAT(block.at("list"), SizeIs(4));
    EXPECT_EQ(block["data"], "/data/d");
    EXPECT_EQ(block["fixed"]["tune"], "norms");
    EXPECT_EQ(block["fixed"]["val_tokens"], 4 * 16);
  }
  EXPECT_EQ(sweep["block"][0]["name"], "c3-few_shot");
  EXPECT_EQ(sweep["block"][0]["fixed"]["tokens"], 128);
  EXPECT_EQ(sweep["block"][0]["fixed"]["unique_tokens"], 64);
  EXPECT_EQ(sweep["block"][1]["fixed"]["tokens"], 320);
  EXPECT_EQ(key_of(jobs[0]), key_of("c3-fine_tuned", "sha256:" + std::string(64, 'e'), 0));
}

}  // namespace
}  // namespace ration::study
