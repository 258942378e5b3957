#include "study/fusion/driver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/hash.h"

namespace ration::study {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr std::int64_t kContext = 16;
constexpr std::int64_t kRounds = 3;

// A world without training. A base is text that says how it came about; the loss of what it says
// falls by 1/8 a round, and by 1/2 with fine-tuning.
class World {
 public:
  FusionSteps steps() {
    return {
        .fuse = [this](const auto& config, const auto& name) { return fuse(config, name); },
        .train = [this](const Json& sweep) { return train(sweep); },
        .evaluate = [this](const auto& list, const auto& name) { return evaluate(list, name); }};
  }

  std::vector<std::string> fused;                      // names of fusions
  std::vector<std::string> evaluated;                  // names of lists
  std::vector<std::size_t> points;                     // of each list
  std::size_t tuned = 0;                               // runs
  std::int64_t one_shot_tokens = 0;                    // of the last one
  std::map<std::string, std::int64_t> control_tokens;  // "multitask 0" -> tokens
  bool lose_a_point = false;

 private:
  std::string base(double loss, const std::string& text) {
    const std::string sha256 = sha256_hex(text);
    loss_of_["sha256:" + sha256] = loss;
    return sha256;
  }

  Result<std::vector<fuse::RoundRecord>> fuse(const fuse::Config& config, const std::string& name) {
    fused.push_back(name);
    std::vector<fuse::RoundRecord> rounds;
    double loss = 4;
    std::string current = base(loss, "theta_0");
    for (std::int64_t r = 1; r <= config.rounds; ++r) {
      fuse::RoundRecord round;
      round.round = r;
      round.base = current;
      round.base_file = "/bases/" + current;
      const std::size_t n = config.contributors_per_round > 0
                                ? static_cast<std::size_t>(config.contributors_per_round)
                                : config.contributors.size();
      for (std::size_t c = 0; c < n; ++c) {
        const Json& settings = config.contributors[c].settings;
        round.contributions.push_back(
            {.contributor = config.contributors[c].id,
             .tokens = settings.value("tokens", config.fixed.value("tokens", std::int64_t{0})),
             .verdict = fuse::Verdict::accepted,
             .sequence = 1});
      }
      if (config.rounds == 1) one_shot_tokens = round.tokens();
      loss -= config.faults.empty() ? 0.125 : 0.0625;
      current = base(loss, fmt::format("{} {}", name, r));
      round.next = current;
      round.next_file = "/bases/" + current;
      round.status = fuse::RoundStatus::fused;
      rounds.push_back(std::move(round));
    }
    return rounds;
  }

  Result<std::vector<TrainedRun>> train(const Json& sweep) {
    std::vector<TrainedRun> runs;
    const bool controls = sweep.at("name") == "small-controls";
    for (const Json& block : sweep.at("block")) {
      const Json& fixed = block.at("fixed");
      const std::string name = block.at("name");
      for (const Json& row : block.value("list", Json::array({Json::object()}))) {
        const std::string given = row.value("init", fixed.value("init", ""));
        TrainedRun run{.block = name,
                       .seed = row.value("seed", fixed.value("seed", std::int64_t{-1}))};
        run.init = given.starts_with("file:/bases/") ? "sha256:" + given.substr(12) : given;
        run.run = sha256_hex(name + row.dump()).substr(0, 32);
        run.tokens = fixed.at("tokens");
        if (controls) {
          control_tokens[fmt::format("{} {}", name.substr(0, name.find('-')), run.seed)] +=
              run.tokens;
          loss_of_["run:" + run.run] = 3.8;
        } else {
          ++tuned;
          run.loss = loss_of_.at(run.init) - 0.5;
        }
        runs.push_back(std::move(run));
      }
    }
    return runs;
  }

  Result<std::vector<eval::PointLoss>> evaluate(const run::PointList& list,
                                                const std::string& name) {
    evaluated.push_back(name);
    points.push_back(list.points.size());
    std::vector<eval::PointLoss> losses;
    for (const run::Point& point : list.points)
      for (const run::PointCorpus& corpus : list.corpora)
        losses.push_back({.point = point.name,
                          .corpus = corpus.name,
                          .loss = loss_of_.at(run::text(list.models.at(point.name))),
                          .tokens = 64});
    if (lose_a_point) losses.pop_back();
    return losses;
  }

  std::map<std::string, double> loss_of_;  // by weights
};

FusionStudy small_study() {
  FusionStudy study;
  study.evaluate.seeds = {0, 1};
  study.evaluate.measures = {Measure::zero_step, Measure::fine_tuned};
  study.evaluate.tokens = 160;
  study.evaluate.draws = 100;
  for (const char* name : {"mean", "flipped"}) {
    FusionArm arm;
    arm.name = name;
    arm.measures = study.evaluate.measures;
    arm.config.rounds = kRounds;
    arm.config.contributors_per_round = 2;
    arm.config.fixed = {{"tokens", 10 * kContext}};
    for (const char* id : {"a", "b", "c"}) {
      fuse::Contributor each;
      each.id = id;
      each.settings = Json::object();
      arm.config.contributors.push_back(each);
    }
    study.arms.push_back(arm);
  }
  study.arms[1].against = "mean";
  study.arms[1].measures = {Measure::zero_step};
  study.arms[1].config.faults["a"] = {.kind = fuse::Fault::Kind::flip};
  return study;
}

FusionGround small_ground() {
  FusionGround ground;
  ground.name = "small";
  ground.context = kContext;
  for (const char* name : {"a", "b", "c", "d"})
    ground.corpora.push_back({.name = name, .data = name, .seen = *name != 'd', .held_out = {}});
  return ground;
}

const FusionTest* find(const FusionFindings& found,
                       const std::string& question,
                       const std::string& arm,
                       const std::string& other,
                       Measure measure) {
  for (const FusionTest& test : found.tests)
    if (test.question == question && test.arm == arm && test.other == other &&
        test.measure == measure && test.group == Corpora::all)
      return &test;
  return nullptr;
}

TEST(FusionExperiment, GivesControlsExactlyTheTokensOfTheFirstArm) {
  World world;

  const Result<FusionFindings> found =
      carry_out_fusion(small_study(), small_ground(), world.steps());

  ASSERT_TRUE(found) << found.error().describe();
  const std::int64_t tokens = kRounds * 2 * 10 * kContext;
  EXPECT_EQ(found->tokens, (std::map<std::int64_t, std::int64_t>{{0, tokens}, {1, tokens}}));
  EXPECT_EQ(world.one_shot_tokens, tokens);
  EXPECT_EQ(world.control_tokens,
            (std::map<std::string, std::int64_t>{{"multitask 0", tokens},
                                                 {"multitask 1", tokens},
                                                 {"sequential 0", tokens},
                                                 {"sequential 1", tokens}}));
}

TEST(FusionExperiment, FusesEveryArmWithEverySeedUnderItsName) {
  World world;

  ASSERT_TRUE(carry_out_fusion(small_study(), small_ground(), world.steps()));

  EXPECT_THAT(world.fused,
              ElementsAre("small/mean/seed-0",
                          "small/mean/seed-1",
                          "small/flipped/seed-0",
                          "small/flipped/seed-1",
                          "small/one_shot/seed-0",
                          "small/one_shot/seed-1"));
}

TEST(FusionExperiment, EvaluatesAndTunesEachBaseOnce) {
  World world;

  const Result<FusionFindings> found =
      carry_out_fusion(small_study(), small_ground(), world.steps());

  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_THAT(world.evaluated, ElementsAre("small-zero_step"));
  // theta_0, which all share; three rounds of two arms, one of one_shot, the other controls; each
  // but theta_0 with two seeds.
  EXPECT_THAT(world.points, ElementsAre(1U + 2 * (2 * 3 + 1 + 2)));
  // theta_0, the last of `mean` and of three controls, with two seeds on four corpora; `flipped` is
  // not fine-tuned.
  EXPECT_EQ(world.tuned, 5U * 2 * 4);
}

TEST(FusionExperiment, MeasuresGainsOverTheStartAndOverControls) {
  World world;

  const Result<FusionFindings> found =
      carry_out_fusion(small_study(), small_ground(), world.steps());

  ASSERT_TRUE(found) << found.error().describe();
  const FusionTest* gain = find(*found, "gain", "mean", "none", Measure::fine_tuned);
  ASSERT_NE(gain, nullptr);
  EXPECT_DOUBLE_EQ(gain->nested.value, kRounds * 0.125);
  EXPECT_EQ(gain->wins, 4);
  const FusionTest* one_shot = find(*found, "gain", "mean", "one_shot", Measure::fine_tuned);
  ASSERT_NE(one_shot, nullptr);
  EXPECT_DOUBLE_EQ(one_shot->nested.value, (kRounds - 1) * 0.125);
  const FusionTest* slope = find(*found, "slope", "mean", "", Measure::zero_step);
  ASSERT_NE(slope, nullptr);
  EXPECT_DOUBLE_EQ(slope->nested.value, -0.125);
  const FusionTest* faulty = find(*found, "against", "flipped", "mean", Measure::zero_step);
  ASSERT_NE(faulty, nullptr);
  EXPECT_DOUBLE_EQ(faulty->nested.value, -kRounds * 0.0625);
  EXPECT_EQ(find(*found, "gain", "flipped", "none", Measure::fine_tuned), nullptr);
  EXPECT_EQ(find(*found, "gain", "flipped", "multitask", Measure::zero_step), nullptr);
}

TEST(FusionExperiment, ProbesTheLastBasesAlone) {
  World world;
  FusionStudy study = small_study();
  study.evaluate.measures = study.arms[0].measures = study.arms[1].measures = {Measure::probe};

  ASSERT_TRUE(carry_out_fusion(study, small_ground(), world.steps()));

  EXPECT_THAT(world.evaluated, ElementsAre("small-probe"));
  EXPECT_THAT(world.points, ElementsAre(1U + 2 * 5));
  EXPECT_EQ(world.tuned, 0U);
}

TEST(FusionExperiment, EvaluatesEveryNthRoundAndTheLast) {
  World world;
  FusionStudy study = small_study();
  study.evaluate.every = 2;
  study.controls = {.multitask = false, .one_shot = false, .sequential = false};

  const Result<FusionFindings> found = carry_out_fusion(study, small_ground(), world.steps());

  ASSERT_TRUE(found) << found.error().describe();
  std::set<std::int64_t> rounds;
  for (const FusionLoss& loss : found->losses)
    if (loss.arm == "mean" && loss.measure == Measure::zero_step) rounds.insert(loss.round);
  EXPECT_THAT(rounds, UnorderedElementsAre(0, 2, 3));
  EXPECT_THAT(world.control_tokens, IsEmpty());
}

TEST(FusionExperiment, TellsWhichLossIsMissing) {
  World world;
  world.lose_a_point = true;

  const Result<FusionFindings> found =
      carry_out_fusion(small_study(), small_ground(), world.steps());

  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().what, HasSubstr("on d did not come back"));
}

TEST(FusionExperiment, TellsWhichArmDidNotGetThrough) {
  World world;
  FusionSteps steps = world.steps();
  steps.fuse = [](const auto&, const std::string&) -> Result<std::vector<fuse::RoundRecord>> {
    return Error{.kind = ErrorKind::interrupted, .what = "Ctrl-C"};
  };

  const Result<FusionFindings> found = carry_out_fusion(small_study(), small_ground(), steps);

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::interrupted);
  EXPECT_EQ(found.error().what, "mean, seed 0: Ctrl-C");
}

}  // namespace
}  // namespace ration::study
