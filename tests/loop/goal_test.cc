#include "loop/goal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::loop {
namespace {

using testing::HasSubstr;

const fit::Law& law() { return *fit::find_law("data-constrained"); }

Error refusal(const std::string& text) { return parse_goal(text, &law()).error(); }

TEST(Goals, AreConditionsJoinedByAnd) {
  const Goal goal =
      parse_goal("interval(epochs) < 25% and interval(rd_star)<0.5 and interval( loss ) < 0.02",
                 &law())
          .value();

  ASSERT_EQ(goal.conditions.size(), 3U);
  EXPECT_EQ(goal.conditions[0].quantity, "epochs");
  EXPECT_EQ(goal.conditions[0].limit, 0.25);
  EXPECT_TRUE(goal.conditions[0].relative);
  EXPECT_EQ(goal.conditions[1].quantity, "rd_star");
  EXPECT_EQ(goal.conditions[1].limit, 0.5);
  EXPECT_FALSE(goal.conditions[1].relative);
  EXPECT_EQ(goal.conditions[2].limit, 0.02);
}

TEST(Goals, ReadAbsoluteWidthsInTheUnitOfTheQuantity) {
  EXPECT_EQ(parse_goal("interval(tokens) < 2Mtok", &law())->conditions[0].limit, 2e6);
  EXPECT_EQ(parse_goal("interval(params) < 100K", &law())->conditions[0].limit, 1e5);
  EXPECT_EQ(refusal("interval(tokens) < 2flop").where->column, 20);
}

TEST(Goals, NameThePlaceOfAMistakeAndWhatIsAllowedThere) {
  const Error unknown = refusal("interval(epochs) < 25% and interval(epoch) < 1%");
  EXPECT_EQ(unknown.kind, ErrorKind::usage);
  EXPECT_EQ(unknown.where->column, 37);
  EXPECT_EQ(unknown.where->line_text, "interval(epochs) < 25% and interval(epoch) < 1%");
  EXPECT_THAT(unknown.what, HasSubstr("\"epoch\""));
  EXPECT_THAT(unknown.hint, HasSubstr("epochs"));

  EXPECT_THAT(refusal("interval(banana) < 1%").hint, HasSubstr("params, tokens, loss, A, B, E"));
  EXPECT_EQ(refusal("").where->column, 1);
  EXPECT_EQ(refusal("epochs < 25%").where->column, 1);
  EXPECT_EQ(refusal("intervals(epochs) < 25%").where->column, 1);
  EXPECT_EQ(refusal("interval epochs < 25%").where->column, 10);
  EXPECT_EQ(refusal("interval(epochs < 25%").where->column, 17);
  EXPECT_EQ(refusal("interval(epochs) > 25%").where->column, 18);
  EXPECT_EQ(refusal("interval(epochs) <").where->column, 19);
  EXPECT_EQ(refusal("interval(epochs) < 0%").where->column, 20);
  EXPECT_EQ(refusal("interval(epochs) < -3").where->column, 20);
  EXPECT_EQ(refusal("interval(epochs) < nan").where->column, 20);
  EXPECT_EQ(refusal("interval(epochs) < 25% or interval(loss) < 1").where->column, 24);
  EXPECT_EQ(refusal("interval(epochs) < 25% and").where->column, 27);
  EXPECT_EQ(refusal(std::string(5000, 'x')).kind, ErrorKind::usage);
}

TEST(Goals, MayNameAParameterOfAnyLawWhereTheLawIsChosenLater) {
  ASSERT_EQ(parse_goal("interval(nonsense) < 1%", nullptr).error().kind, ErrorKind::usage);
  for (const fit::Law* each : fit::all_laws())
    for (const fit::Parameter& parameter : each->parameters())
      EXPECT_TRUE(parse_goal("interval(" + std::string(parameter.name) + ") < 1%", nullptr));
}

// A fit and a plan by hand: epochs 4 (3 to 5), alpha 0.35 without an upper end.
struct Known {
  fit::Fit fit;
  plan::Plan plan;
  Known() {
    fit.law = &law();
    fit.parameters = {{.name = "alpha", .value = 0.35, .low = 0.3},
                      {.name = "beta", .value = 0.4, .low = 0.35, .high = 0.45}};
    plan.best.epochs = {4, 3.0, 5.0};
    plan.best.loss = {3.0, 2.99, 3.01};
  }
};

TEST(Goals, AreReachedWhereTheWidthIsBelowTheLimit) {
  const Known known;
  const auto widths = [&](const std::string& text) {
    return measure(parse_goal(text, &law()).value(), known.fit, known.plan);
  };

  const std::vector<Measured> all = widths(
      "interval(epochs) < 51% and interval(epochs) < 50% and interval(epochs) < 2.5 and "
      "interval(loss) < 0.03 and interval(beta) < 30%");

  ASSERT_EQ(all.size(), 5U);
  EXPECT_DOUBLE_EQ(*all[0].width, 0.5);
  EXPECT_TRUE(all[0].reached);
  EXPECT_FALSE(all[1].reached) << "not below";
  EXPECT_DOUBLE_EQ(*all[2].width, 2);
  EXPECT_TRUE(all[2].reached);
  EXPECT_TRUE(all[3].reached);
  EXPECT_NEAR(*all[4].width, 0.25, 1e-12);
}

TEST(Goals, AreNotReachedByAnOpenIntervalOrAParameterThatTheLawLacks) {
  const Known known;
  const Goal goal = parse_goal("interval(alpha) < 500% and interval(E) < 500%", &law()).value();

  const std::vector<Measured> all = measure(goal, known.fit, known.plan);

  EXPECT_EQ(all[0].value, 0.35);
  EXPECT_FALSE(all[0].width);
  EXPECT_FALSE(all[0].reached);
  EXPECT_FALSE(all[1].value);
  EXPECT_FALSE(all[1].reached);
}

}  // namespace
}  // namespace ration::loop
