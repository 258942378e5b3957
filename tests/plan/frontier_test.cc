#include "plan/frontier.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "plan/support.h"

namespace ration::plan {
namespace {

using testing::HasSubstr;

const Request kRequest = {.unique = Tokens(25e9)};

TEST(Frontier, IsOnePlanForEachBudget) {
  const std::vector<Flops> budgets = budgets_between(Flops(1e20), Flops(1e24), 5);
  ASSERT_EQ(budgets.size(), 5U);
  EXPECT_NEAR(budgets[1].value, 1e21, 1e12);

  const auto points = frontier(fit_with_draws(), kRequest, budgets);

  ASSERT_TRUE(points) << points.error().describe();
  for (std::size_t i = 1; i < points->size(); ++i) {
    EXPECT_LT((*points)[i].best.loss.value, (*points)[i - 1].best.loss.value);
    EXPECT_GT((*points)[i].best.epochs.value, (*points)[i - 1].best.epochs.value);
  }
  const Plan alone = *make_plan(fit_with_draws(), {.budget = Flops(1e22), .unique = Tokens(25e9)});
  EXPECT_NEAR((*points)[2].best.loss.value, alone.best.loss.value, 1e-12);
}

TEST(Frontier, NamesTheBudgetThatFails) {
  Request request = kRequest;
  request.served = Tokens(1e15);
  const std::vector<Flops> budgets = {Flops(1e15)};
  const auto points = frontier(published_fit(), request, budgets);
  ASSERT_FALSE(points);
  EXPECT_THAT(points.error().what, HasSubstr("1e+15 flop"));
}

TEST(FrontierCsv, HasOneLineForEachPoint) {
  const std::vector<Flops> budgets = budgets_between(Flops(1e20), Flops(1e22), 3);
  const std::string text = frontier_csv(*frontier(published_fit(), kRequest, budgets));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_TRUE(text.starts_with("budget,params,params_low,params_high,tokens"));
  EXPECT_THAT(text, HasSubstr("\n1e+22,"));
}

TEST(Trace, FollowsTheBudgetAroundTheOptimum) {
  const Request request = {.budget = Flops(1e22), .unique = Tokens(25e9)};
  const std::vector<Allocation> all = trace(published_fit(), request, 7e9, 4, 21);
  ASSERT_EQ(all.size(), 21U);
  EXPECT_NEAR(all.front().params.value, 7e9 / 4, 1);
  EXPECT_NEAR(all.back().params.value, 28e9, 10);
  for (const Allocation& a : all) EXPECT_NEAR(6 * a.params.value * a.tokens.value, 1e22, 1e13);
  EXPECT_THAT(trace_csv(all), HasSubstr("params,tokens,epochs,flops,loss"));
}

TEST(Trace, IsOnePointWhereTheSizeIsFixed) {
  Request request = {.budget = Flops(1e22), .unique = Tokens(25e9)};
  request.params = Params(1e9);
  EXPECT_EQ(trace(published_fit(), request, 1e9).size(), 1U);
}

}  // namespace
}  // namespace ration::plan
