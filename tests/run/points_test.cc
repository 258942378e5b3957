#include "run/points.h"

#include <gmock/gmock.h>

namespace ration::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kId = "0123456789abcdef0123456789abcdef";

Json a_list() {
  return {{"schema", "ration.points/1"},
          {"models", {{"base", "run:" + kId}, {"prose", "run:" + kId + "@8"}}},
          {"corpora", {{{"name", "prose"}, {"data", "/data"}, {"digest", "d"}}}},
          {"points",
           {{{"name", "half"},
             {"recipe", {{"method", "average"}, {"base", "base"}, {"models", {"prose"}}}}}}}};
}

std::string refusal(const Json& list) {
  const Result<PointList> read = parse_points(list.dump(), "list.json");
  return read ? "" : read.error().what;
}

TEST(Points, KeepEverythingWhenTheyAreWrittenAndRead) {
  Json json = a_list();
  json["sequences"] = true;
  json["probe"] = {{"steps", 7}, {"lr", 0.5}, {"sequences", 3}};
  json["points"][0]["corpora"] = {0};
  const Result<PointList> list = parse_points(json.dump(), "list.json");
  ASSERT_TRUE(list) << list.error().describe();

  const std::string written = points_text(*list);

  const Result<PointList> again = parse_points(written, "list.json");
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(points_text(*again), written);
  EXPECT_EQ(again->models, list->models);
  EXPECT_EQ(again->corpora, list->corpora);
  EXPECT_EQ(again->points[0].recipe, json["points"][0]["recipe"]);
  EXPECT_THAT(again->points[0].corpora, ElementsAre(0U));
  EXPECT_EQ(again->probe->steps, 7);
}

TEST(Points, NeedTheRunsOfTheirModelsOnce) {
  Json json = a_list();
  json["models"]["again"] = "run:" + kId;
  const Result<PointList> list = parse_points(json.dump(), "list.json");
  ASSERT_TRUE(list);

  const std::vector<Weights> runs = runs_needed(*list);

  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].step + runs[1].step, 8);
}

TEST(Points, WithMistakesAreRefusedWithTheirPlace) {
  Json json = a_list();
  json["points"][0]["recipe"]["models"] = {"poem"};
  EXPECT_THAT(refusal(json), HasSubstr("wants model \"poem\""));

  json = a_list();
  json["points"][0]["corpora"] = {1};
  EXPECT_THAT(refusal(json), HasSubstr("corpus 1 of 1"));

  json = a_list();
  json["points"].push_back(json["points"][0]);
  EXPECT_THAT(refusal(json), HasSubstr("\"half\" stands twice"));

  json = a_list();
  json["models"]["file"] = "sha256:" + kId + kId;
  EXPECT_THAT(refusal(json), HasSubstr("where model \"file\" lies"));

  json = a_list();
  json["corpora"][0]["window"] = 3;
  EXPECT_THAT(refusal(json), HasSubstr("unknown member \"window\""));

  json = a_list();
  json["probe"] = {{"steps", 0}};
  EXPECT_THAT(refusal(json), HasSubstr("steps must be"));

  json = a_list();
  json["corpora"][0]["windows"] = 2.9;
  EXPECT_THAT(refusal(json), HasSubstr("\"windows\" of a corpus is no whole number"));

  json = a_list();
  json["points"][0]["corpora"] = {0.5};
  EXPECT_THAT(refusal(json), HasSubstr("no places in the list of corpora"));

  json = a_list();
  json["corpora"] = {{"prose", json["corpora"][0]}};
  EXPECT_THAT(refusal(json), HasSubstr("\"corpora\" of the list is no array"));

  json = a_list();
  json["schema"] = "ration.points/2";
  EXPECT_THAT(refusal(json), HasSubstr("schema"));
}

}  // namespace
}  // namespace ration::run
