#include "plan/plan.h"

#include <gmock/gmock.h>

#include <cmath>

#include "plan/support.h"

namespace ration::plan {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Plan planned(const fit::Fit& fit, const Request& request) {
  Result<Plan> plan = make_plan(fit, request);
  if (!plan) throw std::runtime_error(plan.error().describe());
  return std::move(*plan);
}

const Request kRequest = {.budget = Flops(1e22), .unique = Tokens(25e9)};

TEST(Plan, AgreesWithAPlainScanOfTheBudgetLine) {
  const Plan plan = planned(published_fit(), kRequest);

  double best = HUGE_VAL, best_params = 0;
  for (double log_n = std::log(1e8); log_n < std::log(1e12); log_n += 1e-4) {
    const Params params(std::exp(log_n));
    const Tokens tokens = tokens_for(kRequest.budget, params);
    const double loss =
        loss_of(*fit::find_law("data-constrained"), kPublished, params, tokens, kRequest.unique);
    if (loss < best) best = loss, best_params = params.value;
  }

  EXPECT_LE(plan.best.loss.value, best * (1 + 1e-13));
  EXPECT_NEAR(plan.best.params.value, best_params, 1e-3 * best_params);
}

TEST(Plan, SpendsLessWhereMoreWouldHarm) {
  const fit::Law& law = *fit::find_law("overfit-penalty-linear");
  fit::Fit fit{.law = &law, .objective = 1, .interval = 0.9};
  fit::Coordinates x = law.typical();
  for (std::size_t j = 0; j < x.size(); ++j) {
    if (law.parameters()[j].name == "P") x[j] = std::log(0.01);
    fit.parameters.push_back(
        {.name = std::string(law.parameters()[j].name), .value = law.parameters()[j].value(x[j])});
  }
  const Request request = {.budget = Flops(1e22), .unique = Tokens(1e9)};

  const Plan plan = planned(fit, request);

  // Every allocation that costs at most the budget, on a grid: 0.02 in ln N and ln D.
  double best = HUGE_VAL, flops = 0;
  for (double log_n = std::log(1e6); log_n < std::log(1e14); log_n += 0.02)
    for (double log_d = std::log(1e8); log_d < std::log(1e12); log_d += 0.02) {
      const double cost = 6 * std::exp(log_n + log_d);
      if (cost > request.budget.value) break;
      const double loss =
          loss_of(law, x, Params(std::exp(log_n)), Tokens(std::exp(log_d)), request.unique);
      if (loss < best) best = loss, flops = cost;
    }
  EXPECT_LE(plan.best.loss.value, best);
  EXPECT_NEAR(plan.best.loss.value, best, 1e-4 * best);
  EXPECT_NEAR(std::log(plan.flops), std::log(flops), 0.5) << "a flat minimum";
  EXPECT_TRUE(plan.optimum.at_harm);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("does harm")));
  const Request little = {.budget = Flops(1e18), .unique = Tokens(1e9)};
  EXPECT_FALSE(planned(fit, little).optimum.at_harm);
}

TEST(Plan, SpendsExactlyTheBudget) {
  const Plan plan = planned(published_fit(), kRequest);
  EXPECT_NEAR(6 * plan.best.params.value * plan.best.tokens.value, 1e22, 1e12);
  EXPECT_NEAR(plan.best.epochs.value, plan.best.tokens.value / 25e9, 1e-9);
}

TEST(Plan, IsThePlainChinchillaPlanWhenTokensAbound) {
  const Plan plan = planned(published_fit(), {.budget = Flops(1e22), .unique = Tokens(1e15)});
  EXPECT_NEAR(plan.best.params.value, plan.baseline.params.value, 1e-4 * plan.best.params.value);
  EXPECT_LT(plan.best.epochs.value, 1);
}

TEST(Plan, KeepsTheLimitOfEpochs) {
  Request request = kRequest;
  request.max_epochs = Epochs(4);

  const Plan plan = planned(published_fit(), request);

  EXPECT_NEAR(plan.best.epochs.value, 4, 1e-5);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("limit of epochs")));
  EXPECT_GT(plan.best.loss.value, planned(published_fit(), kRequest).best.loss.value);
}

TEST(Plan, ReachesSmallModelsToo) {
  // A sweep on a laptop: 1e12 FLOPs.
  const Plan plan = planned(published_fit(), {.budget = Flops(1e12), .unique = Tokens(1e5)});
  EXPECT_GT(plan.best.params.value, 1e3);
  EXPECT_LT(plan.best.params.value, 1e7);
}

TEST(Plan, FindsTheEndsOfTheValley) {
  const Plan plan = planned(published_fit(), kRequest);

  for (const double params : {plan.valley.params.low, plan.valley.params.high}) {
    const double loss = loss_of(*fit::find_law("data-constrained"),
                                kPublished,
                                Params(params),
                                tokens_for(kRequest.budget, Params(params)),
                                kRequest.unique);
    EXPECT_NEAR(loss, plan.best.loss.value * 1.001, 1e-8);
  }
  EXPECT_LT(plan.valley.params.low, plan.best.params.value);
  EXPECT_GT(plan.valley.params.high, plan.best.params.value);
}

TEST(Plan, PutsItsValuesInsideTheirIntervals) {
  const Plan plan = planned(fit_with_draws(), kRequest);

  for (const Amount* amount : {&plan.best.params,
                               &plan.best.tokens,
                               &plan.best.epochs,
                               &plan.best.loss,
                               &plan.baseline.params,
                               &plan.baseline.loss}) {
    EXPECT_LT(*amount->low, amount->value);
    EXPECT_GT(*amount->high, amount->value);
  }
}

TEST(Plan, ShowsWhatOtherMinimaOfTheFitRecommend) {
  fit::Fit fit = published_fit();
  std::vector<double> values;
  for (const fit::Estimate& e : fit.parameters) values.push_back(e.value);
  fit.minima.push_back({1, values});
  values[5] = 60;
  fit.minima.push_back({1.005, values});

  const Plan plan = planned(fit, kRequest);

  ASSERT_EQ(plan.alternatives.size(), 1U);
  EXPECT_NEAR(plan.alternatives[0].objective_ratio, 1.005, 1e-12);
  EXPECT_GT(plan.alternatives[0].optimum.epochs, plan.best.epochs.value);
}

TEST(Plan, WarnsBeyondTheRunsOfTheFit) {
  fit::Fit fit = published_fit();
  fit.range = {.params = {1e7, 1e9},
               .tokens = {1e9, 1e11},
               .unique_tokens = {1e9, 50e9},
               .epochs = {1, 4},
               .flops = {1e18, 1e21}};

  const Plan plan = planned(fit, kRequest);

  EXPECT_THAT(plan.warnings, Contains(HasSubstr("budget 1e+22 flop is 10 times the most")));
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("parameters")));
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("epochs")));
}

TEST(Plan, WarnsWhenTheLawKnowsNoRepetition) {
  fit::Fit fit = published_fit();
  fit.law = fit::find_law("chinchilla");
  fit.parameters.resize(5);
  EXPECT_THAT(planned(fit, kRequest).warnings, Contains(HasSubstr("cannot judge")));
}

TEST(Plan, RefusesRequestsThatMakeNoSense) {
  EXPECT_THAT(check(kRequest), IsEmpty());
  EXPECT_EQ(
      check({.budget = Flops(0), .unique = Tokens(NAN), .max_epochs = Epochs(-1), .tolerance = 2})
          .size(),
      4U);
  const std::vector<Error> tiny = check({.budget = Flops(10), .unique = Tokens(10)});
  ASSERT_EQ(tiny.size(), 1U);
  EXPECT_THAT(tiny[0].what, HasSubstr("no model of 100 to 1e14 parameters"));
}

TEST(Plan, LeavesComputeUnspentWhereTheLimitOfEpochsAsksForIt) {
  const Plan plan = planned(
      published_fit(), {.budget = Flops(1e30), .unique = Tokens(1e9), .max_epochs = Epochs(1)});
  EXPECT_NEAR(plan.best.epochs.value, 1, 1e-6);
  EXPECT_LE(plan.flops, 1e30);
}

TEST(Plan, RefusesALawInOneVariable) {
  fit::Fit fit = published_fit();
  fit.law = fit::find_law("power-compute");
  fit.parameters.resize(3);

  const Result<Plan> plan = make_plan(fit, kRequest);

  ASSERT_FALSE(plan);
  EXPECT_EQ(exit_code(plan.error().kind), 2);
  EXPECT_THAT(plan.error().describe(), HasSubstr("power-compute"));
}

TEST(PlanDocument, HoldsEveryAmountWithItsInterval) {
  const fit::Fit fit = fit_with_draws();

  const Json document = to_json(planned(fit, kRequest), fit);

  EXPECT_EQ(document["schema"], "ration.plan/1");
  for (const char* name : {"params", "tokens", "epochs", "loss"})
    for (const char* member : {"value", "low", "high"}) {
      EXPECT_TRUE(document[name][member].is_number()) << name << " " << member;
      EXPECT_TRUE(document["baseline"][name][member].is_number()) << name << " " << member;
    }
}

}  // namespace
}  // namespace ration::plan
