#include "plan/remedies/effective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../support.h"
#include "plan/plan.h"

namespace ration::plan {
namespace {

const fit::Law& law() { return *fit::find_law("data-constrained"); }
constexpr Setting kRun{Params(2.8e9), Tokens(55e9), Tokens(5.5e9)};

double loss_at(double params, double tokens, double unique) {
  return loss_of(law(), kPublished, Params(params), Tokens(tokens), Tokens(unique));
}

double baseline_loss() { return loss_at(2.8e9, 55e9, 5.5e9); }

// Constants of the size that fits give, for every law.
fit::Coordinates likely(const fit::Law& any) {
  fit::Coordinates x;
  for (const fit::Parameter& parameter : any.parameters()) {
    using Role = fit::Parameter::Role;
    const bool term = parameter.role == Role::term;
    if (parameter.name == "A")
      x.push_back(std::log(520));
    else if (parameter.name == "B")
      x.push_back(std::log(1488));
    else if (parameter.role == Role::floor)
      x.push_back(std::log(1.87));
    else if (parameter.is_exponent())
      x.push_back(0.3527);
    else if (parameter.name == "P")
      x.push_back(std::log(1e-3));
    else if (parameter.role == Role::penalty)
      x.push_back(0);
    else
      x.push_back(term ? 0 : std::log(12));
  }
  return x;
}

TEST(EquivalentUniqueTokens, GiveTheLossUnderEveryLawThatDescribesRepetition) {
  int laws = 0;
  for (const fit::Law* any : fit::all_laws()) {
    if (!any->describes_repetition()) continue;
    ++laws;
    const fit::Coordinates x = likely(*any);
    const double target = loss_of(*any, x, kRun.params, kRun.tokens, Tokens(8e9));

    const Result<Effective> found = effective(*any, x, kRun, Loss(target));

    ASSERT_TRUE(found) << any->name();
    EXPECT_NEAR(found->unique.value, 8e9, 1e-6 * 8e9) << any->name();
    ASSERT_TRUE(found->fresh) << any->name();
    EXPECT_NEAR(loss_of_fresh(*any, x, kRun.params, kRun.tokens, *found->fresh).value,
                target,
                1e-9 * target)
        << any->name();
  }
  EXPECT_GE(laws, 7);
}

TEST(EquivalentUniqueTokens, OfFreshDataAreTheTokensSeen) {
  const double fresh = loss_at(2.8e9, 55e9, 55e9);

  const std::optional<Tokens> found =
      fresh_tokens(law(), kPublished, kRun.params, kRun.tokens, Loss(fresh));

  ASSERT_TRUE(found);
  EXPECT_NEAR(found->value, 55e9, 1e-9 * 55e9);
}

TEST(EquivalentUniqueTokens, ChargeARunThatCostTwiceWithTwiceTheTokens) {
  // What twice the compute spent on repetition reaches is no remedy.
  const double repeated = loss_at(2.8e9, 110e9, 5.5e9);

  const Result<Effective> free = effective(law(), kPublished, kRun, Loss(repeated));
  const Result<Effective> charged = effective(law(), kPublished, kRun, Loss(repeated), 2);

  ASSERT_TRUE(free && charged);
  EXPECT_GT(free->multiplier, 1.1);
  EXPECT_NEAR(charged->multiplier, 1, 1e-9);
  EXPECT_NEAR(charged->epochs.value_or(Epochs(0)).value, 20, 1e-6);
}

TEST(EquivalentUniqueTokens, AreABoundWhereNoDataWouldDo) {
  const double fresh = loss_at(2.8e9, 55e9, 55e9);

  const Result<Effective> found = effective(law(), kPublished, kRun, Loss(fresh - 0.01));

  ASSERT_TRUE(found);
  EXPECT_TRUE(found->saturated);
  EXPECT_DOUBLE_EQ(found->multiplier, 10);
  ASSERT_TRUE(found->fresh);
  EXPECT_GT(found->fresh->value, 55e9);
}

TEST(EpochEquivalents, AreUndefinedBelowTheLawsFloor) {
  const double floor = loss_at(2.8e9, 1e6 * 5.5e9, 5.5e9);

  const Result<Effective> above = effective(law(), kPublished, kRun, Loss(floor + 1e-6));
  const Result<Effective> below = effective(law(), kPublished, kRun, Loss(floor - 1e-6));

  ASSERT_TRUE(above && below);
  EXPECT_TRUE(above->epochs);
  EXPECT_FALSE(below->epochs);
}

TEST(ComputeMultipliers, AreTheLeastBudgetOfAGridSearch) {
  const double target = baseline_loss();
  double least = HUGE_VAL;  // brute force over sizes; tokens by bisection
  for (double log_n = std::log(1e8); log_n < std::log(1e11); log_n += 0.005) {
    double low = std::log(1e8), high = std::log(1e13);
    if (loss_at(std::exp(log_n), std::exp(high), 5.5e9) > target) continue;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (loss_at(std::exp(log_n), std::exp(middle), 5.5e9) > target ? low : high) = middle;
    }
    least = std::min(least, 6 * std::exp(log_n + high));
  }
  const Flops used = training_flops(kRun.params, kRun.tokens);

  const auto found = compute_multiplier(law(), kPublished, kRun.unique, Loss(target), used);

  ASSERT_TRUE(found);
  EXPECT_NEAR(*found, least / used.value, 1e-4);  // the grid is 0.005 apart, the minimum flat
  EXPECT_LE(*found, 1);
}

TEST(ComputeMultipliers, AreUnreachableWhereEndlessRepetitionFails) {
  const double endless = loss_at(1e20, 1e25, 5.5e9);

  EXPECT_FALSE(
      compute_multiplier(law(), kPublished, kRun.unique, Loss(endless - 1e-3), Flops(1e21)));
}

TEST(ErrorsOfEquivalentTokens, FallAsTheBaselineRepeatsMore) {
  // Published sensitivities at 0.005 nats, two digits.
  const std::vector<std::pair<double, double>> published = {
      {1.5, 0.57}, {2, 0.32}, {4, 0.13}, {8, 0.06}, {16, 0.03}, {44, 0.02}};
  for (const auto& [epochs, expected] : published) {
    const Setting run{Params(2.8e9), Tokens(55e9), Tokens(55e9 / epochs)};
    const double loss = loss_at(2.8e9, 55e9, 55e9 / epochs);

    const Result<Effective> found = effective(law(), kPublished, run, Loss(loss));

    ASSERT_TRUE(found);
    EXPECT_NEAR(log_unique_error(found->slope, 0.005), expected, 0.0051) << epochs;
  }
}

TEST(SeedsNeeded, GiveTheWantedDeviation) {
  const std::int64_t seeds = seeds_needed(-0.0967, 0.01, 0.05).value_or(0);

  // The mean of n paired differences deviates by sd sqrt(2/n).
  EXPECT_LE(log_unique_error(-0.0967, 0.01 * std::sqrt(2.0 / static_cast<double>(seeds))), 0.05);
  EXPECT_GT(log_unique_error(-0.0967, 0.01 * std::sqrt(2.0 / static_cast<double>(seeds - 1))),
            0.05);
  EXPECT_FALSE(seeds_needed(0, 0.01, 0.05));
}

TEST(EquivalentUniqueTokens, RefuseALawWithoutRepetitionAndImpossibleSettings) {
  const fit::Law& plain = *fit::find_law("chinchilla");
  const fit::Coordinates x(kPublished.begin(), kPublished.begin() + 5);

  const Result<Effective> no_law = effective(plain, x, kRun, Loss(2.4));
  const Result<Effective> no_setting =
      effective(law(), kPublished, {Params(1e9), Tokens(1e9), Tokens(2e9)}, Loss(-1));

  ASSERT_FALSE(no_law);
  EXPECT_NE(no_law.error().describe().find("chinchilla"), std::string::npos);
  ASSERT_FALSE(no_setting);
  EXPECT_EQ(no_setting.error().causes.size(), 2U);
}

}  // namespace
}  // namespace ration::plan
