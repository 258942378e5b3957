#include "study/fusion/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A table [fuse] of two contributors.
Json small_table() {
  return Json::parse(R"({
    "base": "block:broad", "rounds": 2,
    "fixed": {"tokens": 640},
    "contributor": [{"id": "prose", "data": "p"}, {"id": "code", "data": "c"}]
  })");
}

std::string problem_of(const Json& table) {
  const Result<FusionStudy> study = parse_fusion_study(table, "f.toml");
  return study ? "taken" : study.error().describe();
}

TEST(FusionStudy, IsOneArmWhereTheFileNamesNone) {
  Json table = small_table();
  table["evaluate"] = {{"seeds", 2}};

  const Result<FusionStudy> study = parse_fusion_study(table, "f.toml");

  ASSERT_TRUE(study) << study.error().describe();
  ASSERT_THAT(study->arms, SizeIs(1));
  EXPECT_EQ(study->arms[0].name, "fuse");
  EXPECT_THAT(study->evaluate.seeds, ElementsAre(0, 1));
  EXPECT_THAT(study->arms[0].measures, ElementsAre(Measure::zero_step));
  EXPECT_TRUE(study->controls.sequential);
}

TEST(FusionStudy, ArmsChangeTheTableThatTheyShare) {
  Json table = small_table();
  table["evaluate"] = Json::parse(R"({"measures": ["fine_tuned", "zero_step"], "tokens": "1Ktok",
                                      "unseen": ["b"], "seeds": [7, 3]})");
  table["arm"] = Json::parse(R"([
    {"name": "mean"},
    {"name": "more", "rounds": 5, "fixed": {"lr": 0.5}, "against": "mean",
     "measures": ["zero_step"]}])");

  const Result<FusionStudy> study = parse_fusion_study(table, "f.toml");

  ASSERT_TRUE(study) << study.error().describe();
  ASSERT_THAT(study->arms, SizeIs(2));
  EXPECT_EQ(study->arms[0].config.rounds, 2);
  EXPECT_EQ(study->arms[1].config.rounds, 5);
  EXPECT_EQ(study->arms[1].config.fixed, Json::parse(R"({"tokens": 640, "lr": 0.5})"));
  EXPECT_THAT(study->arms[1].config.contributors, SizeIs(2));
  EXPECT_EQ(study->arms[1].against, "mean");
  EXPECT_TRUE(study->arms[0].measured_by(Measure::fine_tuned));
  EXPECT_FALSE(study->arms[1].measured_by(Measure::fine_tuned));
  EXPECT_EQ(study->evaluate.tokens, 1000);
  EXPECT_THAT(study->evaluate.seeds, ElementsAre(7, 3));
}

TEST(FusionStudy, TellsAllThatIsWrongAtOnce) {
  Json table = small_table();
  table["evaluate"] = Json::parse(R"({"measures": ["fine_tuned", "warm"], "windows": 3, "seed": 4,
                                      "fixed": {"seed": 1}})");
  table["controls"] = Json::parse(R"({"one_shot": "yes"})");
  table["arm"] = Json::parse(R"([
    {"name": "none"},
    {"name": "a b"},
    {"name": "x", "against": "y", "measures": ["probe"]},
    {"name": "x"}])");

  const std::string told = problem_of(table);

  EXPECT_THAT(told, HasSubstr("f.toml: [fuse.evaluate] measures = \"warm\" is no choice"));
  EXPECT_THAT(told, HasSubstr("windows = 3 is odd"));
  EXPECT_THAT(told, HasSubstr("seed is no key here\nhelp: did you mean \"seeds\"?"));
  EXPECT_THAT(told, HasSubstr("[fuse.evaluate] tokens is missing"));
  EXPECT_THAT(told, HasSubstr("[fuse.evaluate] fixed.seed cannot be set here"));
  EXPECT_THAT(told, HasSubstr("[fuse.controls] one_shot = \"yes\""));
  EXPECT_THAT(told, HasSubstr("arm \"none\" is called like a control"));
  EXPECT_THAT(told, HasSubstr("arm \"a b\" lacks a usable name"));
  EXPECT_THAT(told, HasSubstr("arm \"x\" is against \"y\", which is no other arm"));
  EXPECT_THAT(told,
              HasSubstr("arm \"x\" measures name probe, which [fuse.evaluate] does not measure"));
  EXPECT_THAT(told, HasSubstr("arm \"x\" repeats a name"));
}

TEST(FusionStudy, RefusesArmsThatCannotBeCompared) {
  Json table = small_table();
  table["arm"] = Json::parse(R"([
    {"name": "faulty", "faults": {"prose": "fail:0.5"}},
    {"name": "fewer", "contributor": [{"id": "prose", "data": "p"}]},
    {"name": "elsewhere", "base": "block:other"}])");

  const std::string told = problem_of(table);

  EXPECT_THAT(told, HasSubstr("arm \"faulty\" has faults"));
  EXPECT_THAT(told, HasSubstr("arm \"fewer\" has other contributors than the first arm"));
  EXPECT_THAT(told, HasSubstr("arm \"elsewhere\" has another base"));
}

TEST(FusionStudy, TellsWhatIsWrongWithTheFusionOfAnArm) {
  Json table = small_table();
  table["arm"] = Json::parse(R"([{"name": "mean"}, {"name": "odd", "rounds": -1}])");

  EXPECT_THAT(problem_of(table), HasSubstr("arm \"odd\""));
}

TEST(FusionStudy, IsAskedForByItsOwnTablesAlone) {
  Json table = small_table();
  EXPECT_FALSE(is_experiment(table));
  table["controls"] = Json::object();
  EXPECT_TRUE(is_experiment(table));
}

}  // namespace
}  // namespace ration::study
