#include "plan/needed.h"

#include <gmock/gmock.h>

#include "plan/support.h"

namespace ration::plan {
namespace {

using testing::HasSubstr;

const Request kRequest = {.unique = Tokens(25e9)};

double least_loss(const fit::Coordinates& x, double budget) {
  Request request = kRequest;
  request.budget = Flops(budget);
  return optimise(*fit::find_law("data-constrained"), x, request).loss;
}

TEST(BudgetForALoss, IsTheInverseOfThePlan) {
  const auto needed = budget_for(published_fit(), kRequest, Loss(2.222129275));
  ASSERT_TRUE(needed) << needed.error().describe();
  EXPECT_NEAR(needed->budget.value, 1e22, 1e17);  // the worked value at 1e22 FLOPs, 25e9 tokens
  EXPECT_FALSE(needed->budget.low) << "a fit without draws";
  EXPECT_FALSE(needed->average);
}

TEST(BudgetForALoss, SaysWhatIsTheLeastLoss) {
  const auto needed = budget_for(published_fit(), kRequest, Loss(1.9));
  ASSERT_FALSE(needed);
  EXPECT_THAT(needed.error().what, HasSubstr("the least is"));
}

// With one draw the interval is that draw: its least loss at that budget is the loss asked for.
TEST(BudgetForALoss, EndsWhereTheDrawsReachTheLoss) {
  for (const double jitter : {0.99, 1.01}) {
    fit::Fit fit = published_fit();
    fit.draws = {kPublished};
    fit.draws.front()[2] *= jitter;  // ln E
    const Needed needed = budget_for(fit, kRequest, Loss(2.3)).value();
    ASSERT_TRUE(needed.budget.high);
    EXPECT_DOUBLE_EQ(*needed.budget.low, *needed.budget.high);
    EXPECT_EQ(*needed.budget.low > needed.budget.value, jitter > 1);
    EXPECT_NEAR(least_loss(fit.draws.front(), *needed.budget.low), 2.3, 2e-4);
  }
}

TEST(BudgetForALoss, HasAnIntervalAboutTheValue) {
  const Needed needed = budget_for(fit_with_draws(), kRequest, Loss(2.3)).value();
  ASSERT_TRUE(needed.budget.low && needed.budget.high);
  EXPECT_LT(*needed.budget.low, needed.budget.value);
  EXPECT_GT(*needed.budget.high, needed.budget.value);
}

TEST(BudgetForALoss, HasNoUpperEndWhereDrawsNeverReachTheLoss) {
  fit::Fit fit = published_fit();
  fit.draws = {kPublished, kPublished, kPublished};
  fit.draws.back()[2] = std::log(2.25);  // ln E: above what is asked for
  const Needed needed = budget_for(fit, kRequest, Loss(2.2)).value();
  EXPECT_TRUE(needed.budget.low);
  EXPECT_FALSE(needed.budget.high);
}

TEST(BudgetForALoss, IsAveragedWhereLawsAreNearlyEqual) {
  fit::Fit fit = fit_with_draws();
  fit.candidates.resize(2);
  fit.candidates[0] = {.law = fit.law, .x = kPublished, .objective = 1, .distance = 0.001};
  fit.candidates[1] = fit.candidates[0];
  fit.candidates[1].x[2] *= 1.02;
  const Needed needed = budget_for(fit, kRequest, Loss(2.3)).value();
  ASSERT_TRUE(needed.average);
  EXPECT_GT(needed.average->value, needed.budget.value);
  EXPECT_LT(*needed.average->low, needed.average->value);
  EXPECT_GT(*needed.average->high, needed.average->value);
}

}  // namespace
}  // namespace ration::plan
