#include "plan/repetition.h"

#include <gmock/gmock.h>

#include "plan/support.h"

namespace ration::plan {
namespace {

constexpr double kRdStar = 15.387756;
const Request kRequest = {.budget = Flops(1e22), .unique = Tokens(25e9)};

fit::Fit fit_of(std::string_view law) {
  fit::Fit fit{.law = fit::find_law(law), .interval = 0.9};
  const fit::Coordinates x = fit.law->typical();
  for (std::size_t j = 0; j < x.size(); ++j)
    fit.parameters.push_back({.name = std::string(fit.law->parameters()[j].name),
                              .value = fit.law->parameters()[j].value(x[j])});
  return fit;
}

// exp(-R/R_D*), "Scaling Data-Constrained Language Models" (2023): 1/e after R_D* repeats.
TEST(WhatEpochsBuy, FallsAsTheLawSays) {
  const Repetition repetition = what_epochs_buy(published_fit(), kRequest, Params(7e9), Epochs(9));
  for (const EpochRow& row : repetition.rows)
    if (row.epochs > 1) {
      EXPECT_NEAR(row.worth, std::exp(-(row.epochs - 1) / kRdStar), 1e-6) << row.epochs;
    }
}

TEST(WhatEpochsBuy, HasTheTrueHalfLife) {
  const Repetition repetition = what_epochs_buy(fit_with_draws(), kRequest, Params(7e9), Epochs(9));
  ASSERT_TRUE(repetition.half_life);
  EXPECT_NEAR(repetition.half_life->value, kRdStar * std::log(2), 1e-3);
  EXPECT_LT(*repetition.half_life->low, repetition.half_life->value);
  EXPECT_GT(*repetition.half_life->high, repetition.half_life->value);
}

TEST(WhatEpochsBuy, LeavesAnEndOfTheHalfLifeOpenWhereTheFitDoes) {
  fit::Fit fit = fit_with_draws();
  for (fit::Estimate& e : fit.parameters) e.low = e.value / 2, e.high = e.value * 2;
  fit.parameters[5].high.reset();  // rd_star

  const Repetition repetition = what_epochs_buy(fit, kRequest, Params(7e9), Epochs(9));

  EXPECT_TRUE(repetition.half_life->low);
  EXPECT_FALSE(repetition.half_life->high);
}

TEST(WhatEpochsBuy, GainsAreDifferencesOfLosses) {
  const Repetition repetition = what_epochs_buy(published_fit(), kRequest, Params(7e9), Epochs(9));
  ASSERT_GE(repetition.rows.size(), 5U);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(repetition.rows[i].gain,
                repetition.rows[i].loss.value - repetition.rows[i + 1].loss.value,
                1e-12);
  EXPECT_GE(repetition.rows.back().epochs, 24);
  EXPECT_FALSE(repetition.harmful_from);
}

TEST(WhatEpochsBuy, FindsWherePenaltiesMakeRepeatingHarm) {
  fit::Fit fit = fit_of("overfit-penalty-linear");
  for (fit::Estimate& e : fit.parameters)
    if (e.name == "P") e.value = 0.1;  // a hundred times the typical one: harm within 30 epochs
  const Request request = {.budget = Flops(1e20), .unique = Tokens(1e9)};
  const Repetition repetition = what_epochs_buy(fit, request, Params(1e9), Epochs(8));
  ASSERT_TRUE(repetition.harmful_from);
  const double at = *repetition.harmful_from;
  const auto loss = [&](double epochs) {
    return loss_of(*fit.law, fit.coordinates(), Params(1e9), Tokens(epochs * 1e9), Tokens(1e9));
  };
  EXPECT_LT(loss(at), loss(at * 0.99));
  EXPECT_LT(loss(at), loss(at * 1.01));
  EXPECT_LT(repetition.rows.back().worth, 0);
}

TEST(WhatEpochsBuy, IsEverFreshWhereTheLawKnowsNoRepetition) {
  const Repetition repetition =
      what_epochs_buy(fit_of("chinchilla"), kRequest, Params(7e9), Epochs(9));
  EXPECT_FALSE(repetition.half_life);
  EXPECT_EQ(repetition.rows.back().worth, 1);
}

TEST(DataAgainstCompute, ComparesPlansMadeAnew) {
  const fit::Fit fit = fit_with_draws();
  const Exchange exchange = data_against_compute(fit, kRequest);
  const auto least = [&](const Request& request) {
    return make_plan(fit, request)->best.loss.value;
  };
  const double now = least(kRequest);
  EXPECT_NEAR(exchange.gain_of_data.value, now - least(scaled(kRequest, 1, 2)), 1e-6);
  EXPECT_NEAR(exchange.gain_of_compute.value, now - least(scaled(kRequest, 2, 1)), 1e-6);
  ASSERT_TRUE(exchange.compute_for_data);
  EXPECT_NEAR(
      least(scaled(kRequest, *exchange.compute_for_data, 1)), least(scaled(kRequest, 1, 2)), 1e-6);
  EXPECT_LT(*exchange.gain_of_data.low, *exchange.gain_of_data.high);
}

TEST(DataAgainstCompute, SaysWhenNoComputeReplacesData) {
  const Exchange exchange =
      data_against_compute(published_fit(), {.budget = Flops(1e25), .unique = Tokens(1e9)});
  EXPECT_FALSE(exchange.compute_for_data);
}

}  // namespace
}  // namespace ration::plan
