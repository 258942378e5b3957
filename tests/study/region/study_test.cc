#include "study/region/study.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "study/region/world.h"

namespace ration::study {
namespace {

using test::kSmallTable;
using test::RegionWorld;
using testing::HasSubstr;

const Estimate& find(const RegionStudy& study,
                     const std::string& question,
                     const std::string& about,
                     const std::string& statistic) {
  for (const Finding& finding : study.findings)
    if (finding.question == question && finding.about == about && finding.statistic == statistic)
      return finding.estimate;
  ADD_FAILURE() << "no finding: " << question << ", " << about << ", " << statistic;
  return study.findings.front().estimate;
}

Result<RegionStudy> carried_out(RegionWorld& world) {
  const scheduler::Sweep sweep = world.sweep(kSmallTable);
  RegionWork work = world.work();
  if (Result<void> done = work.train(sweep); !done) return std::move(done).error();
  return study_regions(sweep, {}, world.store(), real_files(), work);
}

// One study that several tests look at.
class RegionStudyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = std::make_unique<RegionWorld>();
    Result<RegionStudy> study = carried_out(*world_);
    ASSERT_TRUE(study) << study.error().describe();
    study_ = std::make_unique<RegionStudy>(std::move(*study));
  }
  static void TearDownTestSuite() {
    study_.reset();
    world_.reset();
  }
  static std::string text(const char* file) {
    return real_files().read(study_->folder / file).value();
  }

  static std::unique_ptr<RegionWorld> world_;
  static std::unique_ptr<RegionStudy> study_;
};
std::unique_ptr<RegionWorld> RegionStudyTest::world_;
std::unique_ptr<RegionStudy> RegionStudyTest::study_;

TEST_F(RegionStudyTest, FindsThePlantedRegions) {
  EXPECT_EQ(find(*study_, "corpus", "all", "accuracy of spectral clusters").value, 1);
  EXPECT_LT(find(*study_, "corpus", "all", "cosine within - between").p, 0.01);
  EXPECT_GT(find(*study_, "family", "all", "cosine within - between").value, 0.1);
  EXPECT_LT(std::abs(find(*study_, "start", "all", "cosine between labels").value), 0.2);
  EXPECT_GT(find(*study_, "amount of text (control)", "all", "cosine within - between").p, 0.1);
  // A quadratic bowl has no barriers, and a mean of noisy models is better than one of them.
  EXPECT_NEAR(find(*study_, "lines", "across families", "barrier (nats)").value, 0, 1e-9);
  EXPECT_LT(find(*study_, "lines", "across families", "at 1/2 - at the ends (nats)").high, 0);
  EXPECT_GT(find(*study_, "lines", "same corpus", "at -1 and 2 - at the ends (nats)").low, 0);
  EXPECT_LT(find(*study_, "hull", "corpus level, mean", "hull - members (nats)").high, 0);
  EXPECT_EQ(find(*study_, "hull", "corpus level, mean", "P(hull < random)").value, 1);
  // All optima have a part in common, which the centroid knows and the base does not.
  EXPECT_LT(find(*study_, "centroid start", "all, 640 tokens", "centroid - base (nats)").high, 0);
}

TEST_F(RegionStudyTest, LeavesTablesAPageAndTheSweepOfItsFineTunings) {
  for (const char* file : {"pairs.csv", "points.csv", "tests.csv", "centroid.csv", "centroid.json"})
    EXPECT_TRUE(real_files().exists(study_->folder / file)) << file;
  EXPECT_THAT(text("centroid.csv"),
              HasSubstr("corpus,start,tune,tokens,seed,run,loss\nlegal,base,all,640,1000,"));
  EXPECT_EQ(study_->page.sections.size(), 5U);
}

TEST_F(RegionStudyTest, RepeatedTrainsNothingAndGivesTheSameBytes) {
  const std::string tests = text("tests.csv"), points = text("points.csv");
  const std::int64_t trained = world_->trained;

  ASSERT_TRUE(carried_out(*world_));

  EXPECT_EQ(world_->trained, trained);
  EXPECT_EQ(text("tests.csv"), tests);
  EXPECT_EQ(text("points.csv"), points);
}

TEST_F(RegionStudyTest, TunesFromEachStartWithTheSameSeeds) {
  const std::string rows = text("centroid.csv");

  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 1 + 4 * 3 * 2 * 3);
  for (const char* start : {"base", "centroid", "best other"})
    for (const char* seed : {"1000", "1001", "1002"})
      EXPECT_THAT(rows, HasSubstr(fmt::format("boost,{},all,1280,{},", start, seed)));
}

TEST(RegionStudy, SaysWhereNothingIsPlanted) {
  // No direction of a corpus or family: what models share is common to all, the rest is noise.
  RegionWorld world({.common = 1, .family = 0, .own = 0, .noise = 0.5});

  const Result<RegionStudy> study = carried_out(world);

  ASSERT_TRUE(study) << study.error().describe();
  EXPECT_GT(find(*study, "corpus", "all", "cosine within - between").p, 0.01);
  EXPECT_GT(find(*study, "family", "all", "cosine within - between").p, 0.01);
}

TEST(RegionStudy, RefusesAWrongTableBeforeAnythingIsDone) {
  const RegionWorld world;

  const auto checked = check_region_study(world.sweep("[region]\nhulls = 3\n"), {}, real_files());
  const auto blocks =
      check_region_study(world.sweep("[region]\nbase = 'bass'\n"), {}, real_files());

  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().describe(), HasSubstr("[region] hulls is no key"));
  ASSERT_FALSE(blocks);
  EXPECT_THAT(blocks.error().describe(), HasSubstr("no block is called \"bass\""));
  EXPECT_FALSE(real_files().exists(world.store()));
}

}  // namespace
}  // namespace ration::study
