#include "merge/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::merge {
namespace {

using testing::HasSubstr;

Result<Recipe> parsed(const std::string& text) {
  return parse_recipe(*parse_json(text, "test"), "points.json");
}

void expect_refused(const std::string& text, const std::string& why) {
  const Result<Recipe> recipe = parsed(text);
  ASSERT_FALSE(recipe) << text;
  EXPECT_EQ(recipe.error().kind, ErrorKind::usage);
  EXPECT_THAT(recipe.error().describe(), HasSubstr(why)) << text;
}

TEST(Recipe, ComesBackFromItsJson) {
  const Result<Recipe> recipe = parsed(
      R"({"method":"ties","base":"b","models":["x","y"],"weights":[1,2.5],"k":0.1,"lambda":0.7,
          "scope":"tensor","consensus":"count","zero_sign":"plus","aggregate":"sum","trim":false,
          "normalize":false})");
  ASSERT_TRUE(recipe) << recipe.error().describe();

  const Result<Recipe> again = parse_recipe(to_json(*recipe), "again");

  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(to_json(*again), to_json(*recipe));
  EXPECT_EQ(again->k, 0.1);
  EXPECT_EQ(again->weights, (std::vector<double>{1, 2.5}));
  EXPECT_FALSE(again->trim);
  EXPECT_EQ(again->normalize, std::optional<bool>(false));
}

TEST(Recipe, EveryMethodHasDefaultsThatAreRight) {
  for (const std::string& method : methods()) {
    Recipe recipe;
    recipe.method = method;
    recipe.base = "b";
    recipe.models = {"x", "y"};
    EXPECT_TRUE(check(recipe).empty()) << method;
    EXPECT_TRUE(parse_recipe(to_json(recipe), "here")) << method;
  }
}

TEST(Recipe, UniformSoupIsAnotherWordForAverage) {
  EXPECT_EQ(parsed(R"({"method":"uniform_soup","models":["x"]})")->method, "average");
}

TEST(Recipe, CompatSetsAllChoicesOfAnotherProgramAndSingleOnesOverruleIt) {
  const auto with = [](const std::string& method, const std::string& more) {
    return *parsed(R"({"base":"b","models":["x"],"method":")" + method + R"(","compat":)" + more);
  };
  const Recipe ties = with("ties", R"("mergekit"})");
  EXPECT_EQ(ties.scope, "tensor");
  EXPECT_EQ(ties.zero_sign, "plus");
  EXPECT_EQ(ties.consensus, "mass");
  EXPECT_TRUE(ties.normalize.value_or(true));
  const Recipe dare = with("dare_ties", R"("mergekit"})");
  EXPECT_EQ(dare.zero_sign, "plus");
  EXPECT_EQ(dare.rescale, "l1");
  EXPECT_EQ(dare.normalize, std::optional<bool>(false));
  EXPECT_EQ(with("dare_linear", R"("mergekit"})").rescale, "l1");
  const Recipe reference = with("ties", R"("ties-ref"})");
  EXPECT_EQ(reference.scope, "global");
  EXPECT_EQ(reference.zero_sign, "majority");
  EXPECT_EQ(reference.consensus, "mass");
  EXPECT_FALSE(reference.normalize.has_value());

  const Recipe given =
      with("ties", R"("mergekit","scope":"global","zero_sign":"majority","consensus":"count"})");
  EXPECT_EQ(given.scope, "global");
  EXPECT_EQ(given.zero_sign, "majority");
  EXPECT_EQ(given.consensus, "count");
  const Recipe other = with("ties", R"("ties-ref","scope":"tensor","zero_sign":"plus"})");
  EXPECT_EQ(other.scope, "tensor");
  EXPECT_EQ(other.zero_sign, "plus");
  const Recipe dare_given =
      with("dare_ties", R"("mergekit","normalize":true,"rescale":"inverse"})");
  EXPECT_EQ(dare_given.normalize, std::optional<bool>(true));
  EXPECT_EQ(dare_given.rescale, "inverse");
}

TEST(Recipe, RefusesWhatAMethodDoesNotRead) {
  expect_refused(R"({"method":"average","models":["x"],"k":0.2})", "average does not read \"k\"");
  expect_refused(R"({"method":"ties","base":"b","models":["x"],"lamda":1})",
                 "did you mean \"lambda\"?");
}

TEST(Recipe, RefusesNumbersOutOfRange) {
  const std::string ties = R"({"method":"ties","base":"b","models":["x"],)";
  expect_refused(ties + R"("k":1.5})", "k is out of range");
  expect_refused(ties + R"("k":-0.1})", "k is out of range");
  expect_refused(ties + R"("k":"much"})", "k has the wrong type");
  expect_refused(ties + R"("scope":"layer"})", "scope is out of range");
  expect_refused(R"({"method":"dare_linear","base":"b","models":["x"],"density":0})",
                 "density is out of range");
  expect_refused(R"({"method":"slerp","models":["x","y"],"t":1.01})", "t is out of range");
  expect_refused(R"({"method":"ema","models":["x","y"],"decay":0})", "decay is out of range");
}

TEST(Recipe, RefusesWeightsThatDoNotFit) {
  expect_refused(R"({"method":"weighted","models":["x","y"],"weights":[1]})",
                 "1 weight for 2 models");
  expect_refused(R"({"method":"weighted","models":["x","y"],"weights":[1,-1]})",
                 "the weights sum to 0");
  expect_refused(
      R"({"method":"task_arithmetic","base":"b","models":["x","y"],"weights":[1,-1],"normalize":true})",
      "the weights sum to 0");
  EXPECT_TRUE(
      parsed(R"({"method":"task_arithmetic","base":"b","models":["x","y"],"weights":[1,-1]})"))
      << "adding one task and forgetting another";
}

TEST(Recipe, RefusesAMethodWithoutWhatItNeeds) {
  expect_refused(R"({"models":["x"]})", "needs a method");
  expect_refused(R"({"method":"tie","models":["x"]})", "did you mean \"ties\"?");
  expect_refused(R"({"method":"x","models":["x"]})", "one of uniform_soup, average, weighted");
  expect_refused(R"({"method":"ties","models":["x"]})", "ties needs a base");
  expect_refused(R"({"method":"average","models":[]})", "needs models");
  expect_refused(R"({"method":"slerp","models":["x","y","z"]})", "slerp of 3 models");
}

TEST(Recipe, RefusesTheCaseInWhichTheTiesReferenceFails) {
  expect_refused(R"({"method":"ties","base":"b","models":["x"],"compat":"ties-ref","k":1})",
                 "the TIES reference fails");
  expect_refused(R"({"method":"ties","base":"b","models":["x"],"compat":"ties-ref","k":100})",
                 "the TIES reference fails");
  EXPECT_TRUE(parsed(R"({"method":"ties","base":"b","models":["x"],"compat":"ties-ref","k":20})"));
  expect_refused(R"({"method":"ties","base":"b","models":["x"],"compat":"ties-ref","k":150})",
                 "above 1, up to 100, a percentage");
}

}  // namespace
}  // namespace ration::merge
