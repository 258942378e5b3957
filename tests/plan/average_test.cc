#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "plan/plan.h"
#include "plan/support.h"

namespace ration::plan {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const Request kRequest = {.budget = Flops(1e22), .unique = Tokens(25e9)};

Plan planned(const fit::Fit& fit, const Request& request = kRequest) {
  Result<Plan> plan = make_plan(fit, request);
  if (!plan) throw std::runtime_error(plan.error().describe());
  return std::move(*plan);
}

fit::Coordinates with_rd_star(double rd_star) {
  fit::Coordinates x = kPublished;
  x[5] = std::log(rd_star);
  return x;
}

// As `ration fit --law auto` leaves it: the fit's law, and another that is as near to the median,
// so that each counts a half.
fit::Fit undecided_fit(fit::Fit fit, double other_rd_star) {
  const fit::Law* law = fit::find_law("data-constrained");
  fit.candidates = {
      {.law = law, .x = kPublished, .objective = 1, .distance = 0.01},
      {.law = law, .x = with_rd_star(other_rd_star), .objective = 1, .distance = 0.01}};
  return fit;
}

TEST(AveragedPlan, AgreesWithAPlainScanOfTheMeanLogLoss) {
  const Plan plan = planned(undecided_fit(published_fit(), 60));

  double best = HUGE_VAL, best_params = 0;
  for (double log_n = std::log(1e9); log_n < std::log(1e11); log_n += 1e-4) {
    const Params params(std::exp(log_n));
    double sum = 0;
    for (const double rd_star : {15.387756, 60.0})
      sum += std::log(loss_of(*fit::find_law("data-constrained"),
                              with_rd_star(rd_star),
                              params,
                              tokens_for(kRequest.budget, params),
                              kRequest.unique));
    if (sum < best) best = sum, best_params = params.value;
  }

  ASSERT_TRUE(plan.average);
  EXPECT_LE(std::log(plan.average->best.loss.value), best / 2 + 1e-12);
  EXPECT_NEAR(plan.average->best.params.value, best_params, 1e-3 * best_params);
}

TEST(AveragedPlan, LiesBetweenWhatTheLawsRecommend) {
  const Plan plan = planned(undecided_fit(published_fit(), 60));

  ASSERT_TRUE(plan.average);
  ASSERT_EQ(plan.average->opinions.size(), 2U);
  EXPECT_NEAR(plan.average->opinions[0].optimum.epochs, plan.best.epochs.value, 1e-3);
  EXPECT_GT(plan.average->best.epochs.value, plan.average->opinions[0].optimum.epochs);
  EXPECT_LT(plan.average->best.epochs.value, plan.average->opinions[1].optimum.epochs);
  EXPECT_FALSE(plan.average->best.epochs.low) << "no draws, no interval";
}

TEST(AveragedPlan, HasAnIntervalThatHoldsEveryLaw) {
  fit::Fit fit = undecided_fit(fit_with_draws(), 60);
  fit.candidates[1].draws = {with_rd_star(59), with_rd_star(60), with_rd_star(61)};

  const Plan plan = planned(fit);

  ASSERT_TRUE(plan.average);
  for (const Opinion& opinion : plan.average->opinions) {
    EXPECT_LT(*plan.average->best.epochs.low, opinion.optimum.epochs);
    EXPECT_GT(*plan.average->best.epochs.high, 0.99 * opinion.optimum.epochs);
  }
}

// R_D* known to a twentieth.
fit::Fit fit_with_narrow_draws() {
  fit::Fit fit = published_fit();
  for (int k = -10; k <= 10; ++k) fit.draws.push_back(with_rd_star(15.387756 * (1 + 0.005 * k)));
  return fit;
}

TEST(AveragedPlan, WarnsWhereLawsDisagreeByMoreThanTheInterval) {
  fit::Fit fit = undecided_fit(fit_with_narrow_draws(), 60);
  EXPECT_THAT(planned(fit).warnings, Contains(HasSubstr("minima of the fit disagree: ")));

  fit.candidates[1].law = fit::find_law("data-constrained-data");
  fit.candidates[1].x.pop_back();
  EXPECT_THAT(planned(fit).warnings, Contains(HasSubstr("laws disagree: ")));
}

TEST(AveragedPlan, IsQuietAboutLawsThatAreFarFromTheMedian) {
  fit::Fit fit = undecided_fit(fit_with_narrow_draws(), 60);
  fit.candidates[1].law = fit::find_law("data-constrained-data");
  fit.candidates[1].x.pop_back();
  fit.candidates[1].distance = 0.03;

  const Plan plan = planned(fit);

  ASSERT_TRUE(plan.average);
  EXPECT_FALSE(plan.average->opinions[1].near);
  EXPECT_THAT(plan.warnings, Not(Contains(HasSubstr("disagree"))));
}

TEST(AveragedPlan, IsQuietWhereLawsAgree) {
  const Plan plan = planned(undecided_fit(fit_with_narrow_draws(), 15.5));

  ASSERT_TRUE(plan.average);
  EXPECT_THAT(plan.warnings, Not(Contains(HasSubstr("disagree"))));
}

TEST(AveragedPlan, CountsMinimaOfAFitWhoseLawWasNamed) {
  fit::Fit fit = published_fit();
  std::vector<double> values;
  for (const fit::Estimate& e : fit.parameters) values.push_back(e.value);
  fit.minima.push_back({1, values});
  EXPECT_FALSE(planned(fit).average) << "one minimum leaves nothing to average";

  values[5] = 60;
  fit.minima.push_back({1, values});

  const Plan plan = planned(fit);
  ASSERT_TRUE(plan.average);
  EXPECT_NEAR(plan.average->opinions[1].weight, 0.5, 1e-12) << "equal objectives";
  EXPECT_GT(plan.average->best.epochs.value, plan.best.epochs.value);
}

TEST(AveragedPlan, KeepsTheLimitsOfTheRequest) {
  Request request = kRequest;
  request.max_epochs = Epochs(4);

  const Plan plan = planned(undecided_fit(published_fit(), 60), request);

  ASSERT_TRUE(plan.average);
  EXPECT_NEAR(plan.average->best.epochs.value, 4, 1e-5);
}

TEST(AveragedPlan, ReadsPoolsByEachLaw) {
  Request request = kRequest;
  request.pools = {{"web", Tokens(20e9)}, {"code", Tokens(5e9), 0.4}};
  const fit::Fit fit = undecided_fit(published_fit(), 60);

  const Plan plan = planned(fit, request);

  // Both laws' own optima bound the loss of the mean from below.
  double bound = 0;
  for (const Opinion& opinion : plan.average->opinions)
    bound += opinion.weight * std::log(opinion.optimum.loss);
  EXPECT_GE(std::log(plan.average->best.loss.value), bound - 1e-12);
  EXPECT_LT(std::log(plan.average->best.loss.value), bound + 1e-2);
}

TEST(PlanDocument, HoldsTheAverageAndEveryOpinion) {
  const fit::Fit fit = undecided_fit(fit_with_draws(), 60);

  const Json document = to_json(planned(fit), fit);

  ASSERT_EQ(document["average"]["opinions"].size(), 2U);
  EXPECT_EQ(document["average"]["opinions"][0]["law"], "data-constrained");
  EXPECT_TRUE(document["average"]["epochs"]["low"].is_number());
  EXPECT_TRUE(to_json(planned(published_fit()), fit)["average"].is_null());
}

}  // namespace
}  // namespace ration::plan
