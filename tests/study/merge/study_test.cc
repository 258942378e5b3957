#include "study/merge/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "merge/soup.h"
#include "study/merge/world.h"

namespace ration::study {
namespace {

using test::made_up_losses;
using test::made_up_models;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

MergeTable table_of(const Json& methods) {
  const Json table = {{"base", "base"}, {"models", {"tuned"}}, {"method", methods}};
  Result<MergeTable> read = read_merge_table(table, "sweep.toml");
  EXPECT_TRUE(read) << read.error().describe();
  return std::move(*read);
}

const Json kTwoScales = {{{"name", "average"}}, {{"name", "task_arithmetic"}, {"lambda", {1, 2}}}};

TEST(MergeStudy, MeasuresWhatMergedModelsKeepInEveryCell) {
  const auto known = [](const Json& recipe, std::size_t corpus, std::size_t replica, Half) {
    return 1.0 / static_cast<double>(recipe["models"].size()) + 0.01 * static_cast<double>(corpus) +
           0.1 * static_cast<double>(replica);
  };

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(kTwoScales), made_up_models(3, 2), made_up_losses(known));

  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_THAT(outcome->sizes, ElementsAre(2, 3));
  EXPECT_THAT(outcome->subsets, SizeIs(4));
  EXPECT_THAT(outcome->cells, SizeIs(2 * (3 * 2 + 3)));
  EXPECT_THAT(outcome->left_out, IsEmpty());
  const MergeArm* average = outcome->arm("average", "chosen");
  ASSERT_NE(average, nullptr);
  for (std::size_t i = 0; i < outcome->cells.size(); ++i) {
    const MergeCell& cell = outcome->cells[i];
    const auto size = static_cast<double>(outcome->subsets[cell.subset].size);
    EXPECT_NEAR(average->recovered[i],
                1 / size + 0.01 * static_cast<double>(cell.corpus) +
                    0.1 * static_cast<double>(cell.replica),
                1e-12);
    EXPECT_EQ(average->losses[i].tokens, 64);
  }
}

// On the windows that choose, 1 is the better scale; on those that report, 2 is. Who peeked would
// choose 2 and report 0.9.
TEST(MergeStudy, ChoosesOnOneHalfAndReportsTheOther) {
  const auto planted = [](const Json& recipe, std::size_t, std::size_t, Half half) {
    if (recipe["method"] == "average") return 0.5;
    const bool first = recipe["lambda"] == 1;
    return first == (half == Half::choose) ? 0.9 : 0.2;
  };

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(kTwoScales), made_up_models(2, 1), made_up_losses(planted));

  ASSERT_TRUE(outcome) << outcome.error().describe();
  const MergeChoice& choice = outcome->choices.back();
  EXPECT_EQ(choice.label, "task_arithmetic");
  EXPECT_EQ(choice.members, Json({{"lambda", 1}}));
  EXPECT_NEAR(choice.recovered, 0.9, 1e-12);
  EXPECT_EQ(choice.trials, 2U);
  EXPECT_NEAR(outcome->arm("task_arithmetic", "chosen")->recovered[0], 0.2, 1e-12);
}

TEST(MergeStudy, ChoosesForEachNumberOfModelsAndNeverWeightsWithoutALoss) {
  const auto known = [](const Json& recipe, std::size_t, std::size_t, Half) {
    if (recipe["method"] == "average") return 0.0;
    const bool first = recipe["lambda"] == 1, few = recipe["models"].size() == 2;
    return few ? (first ? 0.3 : std::nan("")) : (first ? 0.3 : 0.6);
  };

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(kTwoScales), made_up_models(3, 1), made_up_losses(known));

  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_EQ(outcome->choices[2].members, Json({{"lambda", 1}})) << "of two models";
  EXPECT_EQ(outcome->choices[3].members, Json({{"lambda", 2}})) << "of three";
}

TEST(MergeStudy, LeavesOutCorporaThatTheirOwnTrainingDidNotHelp) {
  const MergeModels models = made_up_models(3, 1);
  const MergeEvaluate usual = made_up_losses([](auto&&...) { return 0.5; });
  const MergeEvaluate without_gain = [&](const run::PointList& list, const std::string& part) {
    Result<std::vector<eval::PointLoss>> losses = usual(list, part);
    for (eval::PointLoss& each : *losses)
      if (each.corpus == "c1/choose") each.loss = 3;
    return losses;
  };

  const Result<MergeOutcome> outcome = carry_out_merges(table_of(kTwoScales), models, without_gain);

  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_THAT(outcome->left_out, ElementsAre(1U));
  ASSERT_THAT(outcome->subsets, SizeIs(1));
  EXPECT_THAT(outcome->subsets[0].corpora, ElementsAre(0U, 2U));

  const Result<MergeOutcome> nothing =
      carry_out_merges(table_of(kTwoScales), made_up_models(1, 1), usual);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().kind, ErrorKind::untrusted);
}

TEST(MergeStudy, EvaluatesInAFewListsWhateverThereIsToTry) {
  std::vector<std::string> parts;

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(kTwoScales),
                       made_up_models(5, 2),
                       made_up_losses([](auto&&...) { return 0.5; }, &parts));

  ASSERT_TRUE(outcome);
  EXPECT_THAT(parts, ElementsAre("floor", "choose", "report"));
}

TEST(MergeStudy, ReportsTiesWithoutEachOfItsSteps) {
  const Json methods = {{{"name", "ties"}, {"k", {0.1, 0.2}}}};
  const auto known = [](const Json& recipe, std::size_t, std::size_t, Half) {
    return recipe["k"].get<double>() - (recipe.value("elect", true) ? 0 : 0.05);
  };

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(methods), made_up_models(2, 1), made_up_losses(known));

  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_NEAR(outcome->arm("ties", "chosen")->recovered[0], 0.2, 1e-12);
  EXPECT_NEAR(outcome->arm("ties", "no elect")->recovered[0], 0.15, 1e-12);
  EXPECT_NEAR(outcome->arm("ties", "no trim")->recovered[0], 0.2, 1e-12);
}

TEST(MergeStudy, EvaluatesFilesOfMethodsThatNeedStatistics) {
  std::vector<Json> asked;
  const MergeToFile make = [&](const Json& recipe) -> Result<MergedFile> {
    asked.push_back(recipe);
    return MergedFile{.name = "file of " + recipe.dump(),
                      .sha256 = std::string(64, 'a'),
                      .path = "/made.safetensors"};
  };

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of({{{"name", "fisher"}, {"norm", true}}}),
                       made_up_models(2, 1),
                       made_up_losses([](auto&&...) { return 0.5; }),
                       make);

  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_EQ(asked.front()["models"], Json({"c0/0", "c1/0"}));
  EXPECT_EQ(asked.front()["norm"], true);
  EXPECT_NEAR(outcome->arm("fisher", "chosen")->recovered[0], -0.5, 1e-12)
      << "a file is no own model, and those have a made-up loss of 3.5";
}

TEST(MergeStudy, ShowsTheCeilingOfTheCorporaThatWereTrainedOnTogether) {
  MergeModels models = made_up_models(3, 1);
  models.weights["joint"] = models.weights.at("base");
  models.weights["joint"].run.back() = 'f';
  models.multitask = {{.corpora = {0, 1, 2}, .models = {"joint"}}};

  const Result<MergeOutcome> outcome =
      carry_out_merges(table_of(kTwoScales), models, made_up_losses([](auto&&...) { return 0.5; }));

  ASSERT_TRUE(outcome) << outcome.error().describe();
  const MergeArm* ceiling = outcome->arm("multitask", "trained");
  ASSERT_NE(ceiling, nullptr);
  for (std::size_t i = 0; i < outcome->cells.size(); ++i)
    if (outcome->subsets[outcome->cells[i].subset].size == 3) {
      EXPECT_NEAR(ceiling->recovered[i], -0.5, 1e-12) << "its made-up loss is 3.5";
    } else {
      EXPECT_TRUE(std::isnan(ceiling->recovered[i]));
    }
}

// The rounds over all subsets at once give what the greedy algorithm gives for each alone.
TEST(GreedySoups, AreThoseOfTheAlgorithmOnEachSubset) {
  const MergeModels models = made_up_models(5, 2);
  // A loss that depends on which models are in the average, and not monotonically.
  const auto quality = [](const std::vector<std::string>& names) {
    double sum = 0;
    for (const std::string& name : names) {
      const double place = static_cast<double>(name[1] - '0');
      sum += std::sin(7 * place + 3 * static_cast<double>(name[3] - '0'));
    }
    return sum / static_cast<double>(names.size()) + 0.2 * static_cast<double>(names.size() % 2);
  };
  const MergeEvaluate evaluate = [&](const run::PointList& list, const std::string&) {
    std::vector<eval::PointLoss> losses;
    for (const run::Point& point : list.points)
      for (const std::size_t place : point.corpora)
        losses.push_back({.point = point.name,
                          .corpus = list.corpora[place].name,
                          .loss = quality(point.recipe["models"].get<std::vector<std::string>>()),
                          .tokens = 1});
    return Result<std::vector<eval::PointLoss>>(std::move(losses));
  };
  const std::vector<std::size_t> all = {0, 1, 2, 3, 4};
  const std::vector<std::int64_t> sizes = {2, 3, 4, 5};
  const std::vector<MergeSubset> subsets = merge_subsets(all, sizes, 10, 0);

  const Result<MergeSoups> soups = greedy_soups(models, subsets, evaluate);

  ASSERT_TRUE(soups) << soups.error().describe();
  for (std::size_t subset = 0; subset < subsets.size(); ++subset)
    for (std::size_t replica = 0; replica < 2; ++replica) {
      std::vector<std::string> names;
      for (const std::size_t corpus : subsets[subset].corpora)
        names.push_back(models.own[corpus][replica]);
      const Result<merge::Soup> alone = merge::greedy_soup(
          names.size(), false, [&](std::span<const std::size_t> members) -> Result<double> {
            std::vector<std::string> pool;
            for (const std::size_t member : members) pool.push_back(names[member]);
            return quality(pool);
          });
      std::vector<std::string> expected;
      for (const std::size_t member : alone.value().members) expected.push_back(names[member]);
      EXPECT_EQ((*soups)[subset][replica], expected);
    }
}

}  // namespace
}  // namespace ration::study
