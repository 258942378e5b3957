#include "study/region/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "study/region/world.h"

namespace ration::study {
namespace {

using test::RegionWorld;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Result<RegionModels> sorted(const std::string& text, const RegionTable& table) {
  return region_models(table, RegionWorld().models(text), "world.toml");
}

TEST(RegionModels, AreSortedByStartCorpusAndAmount) {
  const RegionTable table{.second_start = "base-2", .amounts = {"amounts-legal", "amounts-boost"}};

  const Result<RegionModels> models = sorted("", table);

  ASSERT_TRUE(models) << models.error().describe();
  EXPECT_EQ(models->base.block, "base");
  EXPECT_THAT(models->models, SizeIs(12));
  EXPECT_THAT(models->second_models, SizeIs(4));
  EXPECT_THAT(models->amounts, SizeIs(6));
  EXPECT_THAT(models->corpora, ElementsAre("legal", "essays", "pystd", "boost"));
  EXPECT_THAT(members_of(*models, "essays"), ElementsAre(3, 4, 5));
  EXPECT_EQ(models->family.at("legal"), "legal");  // without families each is its own
}

TEST(RegionModels, OfASecondStartThatIsNotNamedAreLeftOut) {
  const Result<RegionModels> models = sorted("", {.amounts = {"amounts-legal", "amounts-boost"}});

  ASSERT_TRUE(models) << models.error().describe();
  EXPECT_FALSE(models->second);
  EXPECT_THAT(models->second_models, SizeIs(0));
}

TEST(RegionModels, RefuseBlocksThatAreNotThereOrHaveSeveralRuns) {
  const Result<RegionModels> models =
      sorted("", {.base = "bases", .second_start = "tuned-legal", .amounts = {"none"}});

  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().kind, ErrorKind::usage);
  const std::string all = models.error().describe();
  EXPECT_THAT(
      all, HasSubstr("[region] base: no block is called \"bases\"\nhelp: did you mean \"base\"?"));
  EXPECT_THAT(all, HasSubstr("second_start: block \"tuned-legal\" has 3 runs"));
  EXPECT_THAT(all, HasSubstr("amounts: no block is called \"none\""));
}

TEST(RegionModels, RefuseFamiliesThatDoNotFitTheCorpora) {
  const Result<RegionModels> models = sorted(
      "",
      {.family = {{"legal", "prose"}, {"esays", "prose"}, {"pystd", "code"}, {"boost", "code"}}});

  ASSERT_FALSE(models);
  const std::string all = models.error().describe();
  EXPECT_THAT(all, HasSubstr("[region] family does not name essays"));
  EXPECT_THAT(all, HasSubstr("[region] family names esays, which no model was trained on"));
}

}  // namespace
}  // namespace ration::study
