#include "study/fusion/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "study/fusion/page.h"

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

FusionLoss loss(const std::string& arm,
                std::int64_t seed,
                std::int64_t round,
                const std::string& corpus,
                double value) {
  return {.arm = arm,
          .seed = seed,
          .round = round,
          .corpus = corpus,
          .seen = corpus != "boost",
          .measure = Measure::zero_step,
          .loss = value};
}

// Two arms with a round each, and theta_0; one of two contributions of `faulty` is refused.
struct Example {
  FusionStudy study;
  FusionFindings found;

  Example() {
    study.controls = {.multitask = false, .one_shot = false, .sequential = false};
    study.evaluate.draws = 100;
    for (const char* name : {"mean", "faulty"}) {
      FusionArm arm;
      arm.name = name;
      arm.measures = {Measure::zero_step};
      study.arms.push_back(arm);
      fuse::RoundRecord round;
      round.round = 1;
      round.base = "start";
      round.next = name;
      round.status = fuse::RoundStatus::fused;
      round.contributions = {
          {.contributor = "a", .tokens = 64, .verdict = fuse::Verdict::accepted, .sequence = 1},
          {.contributor = "b",
           .tokens = 32,
           .verdict =
               std::string(name) == "mean" ? fuse::Verdict::accepted : fuse::Verdict::rejected,
           .sequence = 2}};
      for (const std::int64_t seed : {0, 1})
        found.fusions.push_back({.arm = name, .seed = seed, .rounds = {round}});
    }
    study.arms[1].against = "mean";
    for (const std::int64_t seed : {0, 1}) {
      found.tokens[seed] = 96;
      for (const char* corpus : {"a", "boost"}) {
        found.losses.push_back(loss("none", seed, 0, corpus, 3));
        found.losses.push_back(loss("mean", seed, 0, corpus, 3));
        found.losses.push_back(loss("mean", seed, 1, corpus, 2.5));
        found.losses.push_back(loss("faulty", seed, 1, corpus, 3.5));
      }
    }
    found.tests = fusion_tests(study, found.losses);
  }
};

const tables::Row& row_of(const DataTable& table, const std::string& arm) {
  for (const tables::Row& row : table.rows)
    if (row.front() == tables::Cell(arm)) return row;
  throw std::runtime_error("no such row");
}

TEST(FusionTables, CountWhatBecameOfContributions) {
  const Example example;

  const DataTable rounds = rounds_table(example.found);

  ASSERT_THAT(rounds.rows, SizeIs(4));
  const tables::Row& faulty = row_of(rounds, "faulty");
  EXPECT_THAT(faulty,
              ElementsAre(tables::Cell("faulty"),
                          tables::Cell(std::int64_t{0}),
                          tables::Cell(std::int64_t{1}),
                          tables::Cell("fused"),
                          tables::Cell("start"),
                          tables::Cell("faulty"),
                          tables::Cell(std::int64_t{96}),
                          tables::Cell(std::int64_t{1}),
                          tables::Cell(std::int64_t{1}),
                          tables::Cell(std::int64_t{0}),
                          tables::Cell(3.5),
                          tables::Cell(3.5)));
}

TEST(FusionTables, HoldTheMeansOfEachArmsLastBase) {
  const Example example;

  const DataTable arms = arms_table(example.study, example.found);

  ASSERT_THAT(arms.rows, SizeIs(3));
  EXPECT_EQ(arms.rows[0][0], tables::Cell("none"));
  EXPECT_EQ(arms.rows[0][1], tables::Cell(0.0));
  EXPECT_EQ(row_of(arms, "mean")[1], tables::Cell(96.0));
  EXPECT_DOUBLE_EQ(last_mean(example.found, "mean", Measure::zero_step, Corpora::all), 2.5);
  EXPECT_TRUE(std::isnan(last_mean(example.found, "mean", Measure::fine_tuned, Corpora::all)));
}

TEST(FusionTables, LeaveCellsWithoutANumberEmpty) {
  Example example;
  example.found.losses.push_back(loss("mean", 7, 1, "a", std::numeric_limits<double>::quiet_NaN()));

  const DataTable losses = losses_table(example.found);

  EXPECT_EQ(losses.rows.back().back(), tables::Cell());
}

TEST(FusionAnswer, GivesIntervalsAndTellsArmsApart) {
  const Example example;

  const std::string text = fusion_answer(example.study, example.found);

  // One corpus is seen and one is not: there is an interval of both together alone.
  EXPECT_THAT(text, HasSubstr("| mean | 0.500 | 0.500 | 0.500 [0.500, 0.500] |"));
  EXPECT_THAT(text, HasSubstr("| faulty | -0.500 | -0.500 | -0.500 [-0.500, -0.500] |"));
  EXPECT_THAT(text, HasSubstr("| faulty than mean | zero_step | 1.000 [1.000, 1.000] | – |"));
  EXPECT_THAT(text, HasSubstr("slope of zero_step"));
  EXPECT_THAT(text, Not(HasSubstr("fine_tuned")));
}

TEST(FusionAnswer, IsOneDocumentForPrograms) {
  const Example example;

  const Json document = fusion_json("small", example.study, example.found);

  EXPECT_EQ(document.at("schema"), "ration.fusion_study/1");
  EXPECT_EQ(document["tokens"]["1"], 96);
  EXPECT_EQ(document["arms"][1]["losses_nats"]["zero_step"]["seen"], 2.5);
  EXPECT_THAT(document["tests"], SizeIs(example.found.tests.size()));
}

TEST(FusionPage, ShowsRoundsGainsAndArmsAgainstArms) {
  const Example example;

  const report::Page page = fusion_page("small", example.study, example.found);

  ASSERT_THAT(page.sections, SizeIs(4));
  EXPECT_THAT(page.sections[1].figures, SizeIs(1));
  EXPECT_EQ(page.sections[2].figures.at(0).name, "rounds");
  const Json& rows = page.sections[2].figures[0].spec.at("data").at("values");
  EXPECT_THAT(rows, SizeIs(6));  // mean before and after, faulty after; seen and unseen
  const Json& against = page.sections[3].figures.at(0).spec.at("data").at("values");
  ASSERT_THAT(against, SizeIs(1));
  EXPECT_EQ(against[0].at("gain"), 1.0);
}

}  // namespace
}  // namespace ration::study
