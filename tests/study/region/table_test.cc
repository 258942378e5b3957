#include "study/region/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(RegionTable, LeftEmptyHasItsDefaults) {
  const Result<RegionTable> table = region_table(Json::object(), "sweep.toml");

  ASSERT_TRUE(table) << table.error().describe();
  EXPECT_EQ(table->base, "base");
  EXPECT_EQ(table->hull_samples, 64);
  EXPECT_FALSE(table->centroid);
}

TEST(RegionTable, TakesBudgetsInTokensOnceEachFromSmallToLarge) {
  const Result<RegionTable> table = region_table(
      {{"centroid", {{"tokens", {"32Ktok", 8000, "8Ktok"}}, {"tune", "norms"}}}}, "sweep.toml");

  ASSERT_TRUE(table) << table.error().describe();
  EXPECT_THAT(table->centroid->tokens, ElementsAre(8000, 32000));
  EXPECT_THAT(table->centroid->tune, ElementsAre("norms"));
}

TEST(RegionTable, RefusesAllMistakesTogetherByName) {
  const Result<RegionTable> table = region_table({{"hull_sample", 8},
                                                  {"lines", 0},
                                                  {"base", 3},
                                                  {"probe", "linear"},
                                                  {"family", {{"legal", 1}}},
                                                  {"centroid", {{"tune", {"heads"}}, {"lr", -1}}}},
                                                 "sweep.toml");

  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().kind, ErrorKind::usage);
  EXPECT_THAT(table.error().causes, SizeIs(8));
  const std::string all = table.error().describe();
  for (const char* part :
       {"sweep.toml: [region] hull_sample is no key here\nhelp: did you "
        "mean \"hull_samples\"?",
        "[region] lines = 0 is out of range\nhelp: a whole number from 1 to 1000",
        "[region] base = 3 is no text",
        "[region] probe = \"linear\" is no choice\nhelp: one of none, head_bias",
        "[region] family.legal = 1 is no text",
        "[region.centroid] tokens is missing",
        "[region.centroid] tune = \"heads\" is no choice\nhelp: one of all, head, norms",
        "[region.centroid] lr = -1 is out of range\nhelp: a number above 0"})
    EXPECT_THAT(all, HasSubstr(part));
}

}  // namespace
}  // namespace ration::study
