#include "study/region/points.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "region/line.h"
#include "study/region/world.h"

namespace ration::study {
namespace {

using test::RegionWorld;
using testing::ElementsAre;
using testing::SizeIs;

const std::map<std::string, std::string> kFamilies = {
    {"legal", "prose"}, {"essays", "prose"}, {"pystd", "code"}, {"boost", "code"}};

class RegionPointsTest : public testing::Test {
 protected:
  RegionTable table_{.second_start = "base-2",
                     .amounts = {"amounts-legal", "amounts-boost"},
                     .family = kFamilies,
                     .lines = 3,
                     .hull_samples = 4};
  RegionWorld world_;
  RegionModels models_ = region_models(table_, world_.models(""), "world.toml").value();

  std::vector<HeldOut> held_out() const {
    std::vector<HeldOut> all;
    for (const std::string& corpus : models_.corpora)
      all.push_back(
          study::held_out(
              real_files(), models_.models[members_of(models_, corpus)[0]].data, corpus, 64)
              .value());
    return all;
  }
};

TEST_F(RegionPointsTest, LinesJoinWhatTheirKindSays) {
  const std::vector<LinePair> lines = line_pairs(table_, models_);

  ASSERT_THAT(lines, SizeIs(15));  // five kinds
  for (const LinePair& line : lines) {
    EXPECT_NE(line.a.run, line.b.run);
    const bool same = line.a.corpus == line.b.corpus;
    EXPECT_THAT(line.corpora, SizeIs(same || line.kind == "start to model" ? 1 : 2));
    if (line.kind == "same corpus") {
      EXPECT_TRUE(same);
    }
    if (line.kind == "same family") {
      EXPECT_TRUE(!same && kFamilies.at(line.a.corpus) == kFamilies.at(line.b.corpus));
    }
    if (line.kind == "across families") {
      EXPECT_NE(kFamilies.at(line.a.corpus), kFamilies.at(line.b.corpus));
    }
    if (line.kind == "start to model") {
      EXPECT_EQ(line.a.run, models_.base.run);
    }
    if (line.kind == "across starts, same corpus") {
      EXPECT_TRUE(same);
      EXPECT_EQ(line.b.start->run, models_.second->run);
    }
  }
}

TEST_F(RegionPointsTest, LinesOfAKindShareNoModelWhereThereAreEnough) {
  std::set<std::string> used;
  for (const LinePair& line : line_pairs(table_, models_))
    if (line.kind == "across families") {
      EXPECT_TRUE(used.insert(line.a.run).second);
      EXPECT_TRUE(used.insert(line.b.run).second);
    }
}

TEST_F(RegionPointsTest, RegionsNeverHoldTheTargetsOwnModelsButOnTheirOwnLevel) {
  const std::vector<Region> regions = regions_of(table_, models_);

  ASSERT_THAT(regions, SizeIs(12));
  for (const Region& region : regions) {
    for (const std::size_t i : region.members)
      EXPECT_EQ(models_.models[i].corpus == region.target, region.level == "corpus") << region.name;
    for (const std::size_t i : region.others)
      EXPECT_EQ(std::count(region.members.begin(), region.members.end(), i), 0) << region.name;
  }
  EXPECT_EQ(regions[0].name, "legal");
  EXPECT_THAT(regions[0].members, SizeIs(3));
  EXPECT_THAT(regions[0].others, SizeIs(9));
  EXPECT_EQ(regions[4].name, "prose without legal");
  EXPECT_THAT(regions[4].members, ElementsAre(3, 4, 5));
  EXPECT_THAT(regions[4].others, SizeIs(6));
  EXPECT_EQ(regions[8].name, "all without legal");
  EXPECT_THAT(regions[8].members, SizeIs(9));
}

TEST_F(RegionPointsTest, HoldEveryPointOnceWithWeightsThatAddUpToOne) {
  const std::vector<LinePair> lines = line_pairs(table_, models_);
  const std::vector<Region> regions = regions_of(table_, models_);

  const RegionPoints points = region_points(table_, models_, held_out(), lines, regions, {});

  // Two starts and the models, 27 points a line, hull samples and a centroid a region, a triangle.
  EXPECT_THAT(points.list.points, SizeIs(2 + 12 + 15 * 27 + 12 * (4 + 1) + 66));
  ASSERT_THAT(points.about, SizeIs(points.list.points.size()));
  EXPECT_THAT(points.list.corpora, SizeIs(8));
  EXPECT_EQ(points.list.corpora[2].name, "essays (to choose on)");
  EXPECT_EQ(points.list.corpora[3].name, "essays");
  std::set<std::string> names;
  for (std::size_t i = 0; i < points.about.size(); ++i) {
    EXPECT_TRUE(names.insert(points.list.points[i].name).second);
    double sum = 0;
    for (const auto& [model, weight] : points.about[i].weights) sum += weight;
    EXPECT_NEAR(sum, 1, 1e-12) << points.list.points[i].name;
  }
}

TEST_F(RegionPointsTest, HullsOfDifferentRegionsAreDifferentDraws) {
  const std::vector<Region> regions = regions_of(table_, models_);
  const RegionPoints points = region_points(table_, models_, held_out(), {}, regions, {});

  const auto weights = [&](const std::string& name) {
    const auto at = std::find_if(points.list.points.begin(),
                                 points.list.points.end(),
                                 [&](const run::Point& point) { return point.name == name; });
    return at->recipe.at("weights");
  };

  EXPECT_NE(weights("hull/legal/0"), weights("hull/essays/0"));
  EXPECT_NE(weights("hull/legal/0"), weights("hull/legal/1"));
}

}  // namespace
}  // namespace ration::study
