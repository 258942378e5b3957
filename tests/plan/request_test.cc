// Limits beyond the budget: what is decided already, time, memory, serving, pools.

#include "plan/request.h"

#include <gmock/gmock.h>

#include "plan/plan.h"
#include "plan/support.h"

namespace ration::plan {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const Request kRequest = {.budget = Flops(1e22), .unique = Tokens(25e9)};

Plan planned(const Request& request, const fit::Fit& fit = published_fit()) {
  Result<Plan> plan = make_plan(fit, request);
  if (!plan) throw std::runtime_error(plan.error().describe());
  return std::move(*plan);
}

double published_loss(double params, double tokens, double unique) {
  return loss_of(*fit::find_law("data-constrained"),
                 kPublished,
                 Params(params),
                 Tokens(tokens),
                 Tokens(unique));
}

TEST(Request, FixesTheModelSize) {
  Request request = kRequest;
  request.params = Params(3e9);
  const Plan plan = planned(request, fit_with_draws());
  EXPECT_NEAR(plan.best.params.value, 3e9, 1);
  EXPECT_NEAR(plan.best.tokens.value, 1e22 / (6 * 3e9), 1e3);
  EXPECT_NEAR(plan.best.loss.value, published_loss(3e9, 1e22 / 18e9, 25e9), 1e-12);
  EXPECT_LT(*plan.best.loss.low, *plan.best.loss.high);
}

TEST(Request, FixesTheTokensAndAsksHowLargeAModelPays) {
  Request request = kRequest;
  request.tokens = Tokens(100e9);
  const Plan plan = planned(request);
  EXPECT_NEAR(plan.best.tokens.value, 100e9, 1);
  EXPECT_LE(plan.flops, 1e22 * (1 + 1e-9));
  // A brute-force scan of all affordable sizes.
  double least = HUGE_VAL;
  for (double n = 1e7; n <= 1e22 / 6e11; n *= 1.001)
    least = std::min(least, published_loss(n, 100e9, 25e9));
  EXPECT_LE(plan.best.loss.value, least * (1 + 1e-7));
}

TEST(Request, LimitsTheModelSize) {
  Request request = kRequest;
  request.max_params = Params(2e9);
  const Plan plan = planned(request);
  EXPECT_NEAR(plan.best.params.value, 2e9, 1e3);
  EXPECT_TRUE(plan.optimum.at_max_params);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("limit of parameters")));
}

TEST(Request, PaysForServingOutOfTheSameBudget) {
  Request request = kRequest;
  request.served = Tokens(1e12);
  const Plan plan = planned(request);
  const double n = plan.best.params.value, d = plan.best.tokens.value;
  EXPECT_NEAR(6 * n * d + 2 * n * 1e12, 1e22, 1e13);
  // Serving is paid by the parameter: the best model is smaller than without.
  EXPECT_LT(n, planned(kRequest).best.params.value);
  double least = HUGE_VAL;
  for (double size = 1e8; size < 1e22 / 2e12; size *= 1.001)
    least = std::min(least, published_loss(size, 1e22 / (6 * size) - 1e12 / 3, 25e9));
  EXPECT_LE(plan.best.loss.value, least * (1 + 1e-9));
  EXPECT_GT(plan.best.loss.value, least * (1 - 1e-6));
}

TEST(Request, TrainsNoLongerThanTheTimeAtMeasuredSpeeds) {
  Request request = kRequest;
  request.time = 86400;
  request.speeds = {{Params(10e9), 1e5}, {Params(1e9), 1e6}};
  const Plan plan = planned(request);
  EXPECT_NEAR(*plan.seconds, 86400, 0.1);
  EXPECT_TRUE(plan.optimum.at_max_time);
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("limit of time")));
  // The same speed in FLOP/s at both sizes: the time is a budget of 6e15 a second.
  EXPECT_NEAR(plan.best.params.value,
              planned({.budget = Flops(6e15 * 86400), .unique = Tokens(25e9)}).best.params.value,
              1e-3 * plan.best.params.value);
  request.budget = Flops(HUGE_VAL);
  EXPECT_NEAR(planned(request).best.loss.value, plan.best.loss.value, 1e-9);
}

TEST(Request, InterpolatesSpeedsInLogarithms) {
  const Request request = {.speeds = {{Params(1e8), 1e6}, {Params(1e10), 1e4}, {Params(1e9), 5e5}}};
  EXPECT_DOUBLE_EQ(tokens_per_second(request, Params(1e6)), 1e6);
  EXPECT_NEAR(tokens_per_second(request, Params(std::sqrt(1e17))), std::sqrt(5e11), 1e-6 * 7e5);
  EXPECT_NEAR(tokens_per_second(request, Params(2e10)), 5e3, 1e-9);
}

TEST(Request, RepeatsPoolsAtTheirOwnRates) {
  Request request = kRequest;
  request.pools = {{"web", Tokens(20e9)}, {"code", Tokens(5e9), 0.5}};
  const Plan plan = planned(request);
  ASSERT_EQ(plan.pools.size(), 2U);
  EXPECT_NEAR(plan.pools[1].tokens, plan.best.tokens.value / 2, 1e3);
  EXPECT_NEAR(plan.pools[1].epochs, plan.best.tokens.value / 2 / 5e9, 1e-6);
  EXPECT_NEAR(plan.pools[0].epochs, plan.best.tokens.value / 2 / 20e9, 1e-6);
  EXPECT_GT(plan.best.loss.value, *plan.proportional_loss);
  EXPECT_NEAR(*plan.proportional_loss, planned(kRequest).best.loss.value, 1e-12);
}

// D' of the mixture is the sum of the pools' own; a brute-force twin of the reduction to one pool.
TEST(Request, AddsUpTheWorthOfPools) {
  Request request = kRequest;
  request.params = Params(1e9);  // below U_N: only D' depends on the unique tokens
  request.pools = {{"web", Tokens(20e9)}, {"code", Tokens(5e9), 0.5}};
  const Plan plan = planned(request);
  const auto worth = [](double tokens, double unique) {
    return unique + unique * 15.387756 * (1 - std::exp(-(tokens / unique - 1) / 15.387756));
  };
  const double half = plan.best.tokens.value / 2;
  const double effective = worth(half, 20e9) + worth(half, 5e9);
  const double expected = std::exp(0.6254804) + std::exp(6.255414) * std::pow(1e9, -0.3526596) +
                          std::exp(7.3049974) * std::pow(effective, -0.3526596);
  EXPECT_NEAR(plan.best.loss.value, expected, 1e-9);
}

TEST(Request, MixesPoolsWithinTheLimitOfEpochs) {
  Request request = kRequest;
  request.pools = {{"web", Tokens(20e9)}, {"code", Tokens(5e9), 0.5}};
  request.max_epochs = Epochs(4);
  const Plan plan = planned(request);
  EXPECT_NEAR(plan.pools[1].epochs, 4, 1e-4);
  EXPECT_LT(plan.pools[0].epochs, 4);
}

TEST(Request, NeedsNoDecayToMixPools) {
  fit::Fit fit = published_fit();
  fit.law = fit::find_law("overfit-penalty-linear");
  ASSERT_NE(fit.law, nullptr);
  fit.parameters.clear();
  const fit::Coordinates x = fit.law->typical();
  for (std::size_t j = 0; j < x.size(); ++j)
    fit.parameters.push_back({.name = std::string(fit.law->parameters()[j].name),
                              .value = fit.law->parameters()[j].value(x[j])});
  Request request = {.budget = Flops(1e20), .unique = Tokens(2e9)};
  request.pools = {{"web", Tokens(1e9), 0.9}, {"code", Tokens(1e9), 0.1}};
  const Plan plan = planned(request, fit);
  EXPECT_GE(plan.best.loss.value, *plan.proportional_loss);
}

TEST(Request, ScalesComputeAndData) {
  Request request = kRequest;
  request.time = 100;
  request.pools = {{"a", Tokens(25e9)}};
  const Request twice = scaled(request, 2, 3);
  EXPECT_DOUBLE_EQ(twice.budget.value, 2e22);
  EXPECT_DOUBLE_EQ(*twice.time, 200);
  EXPECT_DOUBLE_EQ(twice.unique.value, 75e9);
  EXPECT_DOUBLE_EQ(twice.pools[0].unique.value, 75e9);
}

struct Wrong {
  const char* name;
  void (*spoil)(Request&);
  const char* said;
};

class WrongRequest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongRequest, IsRefused) {
  Request request = kRequest;
  GetParam().spoil(request);
  std::string said;
  for (const Error& error : check(request)) said += error.what + "\n";
  EXPECT_THAT(said, HasSubstr(GetParam().said));
}

INSTANTIATE_TEST_SUITE_P(
    Requests,
    WrongRequest,
    testing::Values(
        Wrong{"BothDecided",
              [](Request& r) { r.params = Params(1e9), r.tokens = Tokens(1e9); },
              "nothing is left to plan"},
        Wrong{"SharesBeyondOne",
              [](Request& r) {
                r.pools = {{"a", Tokens(20e9), 0.7}, {"b", Tokens(5e9), 0.7}};
              },
              "add up to 1.4"},
        Wrong{"NothingLeftForAPool",
              [](Request& r) {
                r.pools = {{"a", Tokens(20e9), 1.0}, {"b", Tokens(5e9)}};
              },
              "add up to 1"},
        Wrong{"OtherSum",
              [](Request& r) {
                r.pools = {{"a", Tokens(20e9)}};
              },
              "not 25B"},
        Wrong{"NoSpeed", [](Request& r) { r.time = 60; }, "needs a measured speed"},
        Wrong{"FasterWhenLarger",
              [](Request& r) {
                r.time = 60;
                r.speeds = {{Params(1e8), 1e5}, {Params(1e9), 2e5}};
              },
              "said to train faster"},
        Wrong{"TwoSpeeds",
              [](Request& r) {
                r.time = 60;
                r.speeds = {{Params(1e8), 1e5}, {Params(1e8), 1e5}};
              },
              "two speeds"},
        Wrong{"ServesTooMuch", [](Request& r) { r.served = Tokens(1e24); }, "within these limits"},
        Wrong{"NoBudget", [](Request& r) { r.budget = Flops(HUGE_VAL); }, "not above 0 FLOPs"},
        Wrong{"TokensBeyondEpochs",
              [](Request& r) { r.tokens = Tokens(200e9), r.max_epochs = Epochs(4); },
              "within these limits"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Request, OfTimeAloneIsWellFormed) {
  EXPECT_THAT(check({.unique = Tokens(1e9), .time = 3600, .speeds = {{Params(1e8), 1e6}}}),
              IsEmpty());
}

}  // namespace
}  // namespace ration::plan
