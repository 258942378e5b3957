#include "plan/remedies/combine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "planted.h"

namespace ration::plan {
namespace {

constexpr Planted kQuiet{.deviation = 0.002};
// About the budget at which the arms were measured, so that no doubt of distance arises.
const Request kRequest{.budget = training_flops(kSetting.params, kSetting.tokens),
                       .unique = Tokens(5.5e9)};

bool says(const std::vector<std::string>& sentences, std::string_view part) {
  return std::any_of(sentences.begin(), sentences.end(), [&](const std::string& sentence) {
    return sentence.find(part) != std::string::npos;
  });
}

// Arms x and y worth 1.5 and 1.4, and "both" where it was measured.
PriceList list_of(std::optional<double> both, double compute = 1) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kQuiet);
  std::vector<Arm> arms = {{.name = "x"}, {.name = "y"}};
  const Setting charged{kSetting.params, kSetting.tokens * compute, kSetting.unique};
  for (RemedyRun run : planted_runs("x", remedied_loss(1.5, charged), 1, kQuiet)) {
    run.flops = run.flops * compute;
    runs.push_back(run);
  }
  append(runs, planted_runs("y", remedied_loss(1.4), 2, kQuiet));
  if (both) {
    arms.push_back({.name = "both", .kind = RemedyKind::combined, .parts = {"x", "y"}});
    append(runs, planted_runs("both", remedied_loss(*both), 3, kQuiet));
  }
  return *price(fit_with_draws(), runs, "repeat", arms);
}

TEST(RemediedPlans, TakeTheBestRemedyAloneWhereNoneWereMeasuredTogether) {
  const PriceList list = list_of({});

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_EQ(plan->chosen.arms, std::vector<std::string>{"x"});
  EXPECT_EQ(plan->chosen.arm, "x");
  ASSERT_TRUE(plan->product);
  EXPECT_NEAR(plan->product->multiplier.value,
              row_of(list, "x")->effective.multiplier * row_of(list, "y")->effective.multiplier,
              1e-12);
  EXPECT_LT(plan->product_loss->value, plan->loss.value);
  EXPECT_TRUE(says(plan->doubts, "not all measured together"));
}

TEST(RemediedPlans, AreThePlanOfTheEquivalentUniqueTokens) {
  const PriceList list = list_of({});
  const double multiplier = row_of(list, "x")->effective.multiplier;
  Request equivalent = kRequest;
  equivalent.unique = equivalent.unique * multiplier;

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);
  const Result<Plan> expected = make_plan(fit_with_draws(), equivalent);

  ASSERT_TRUE(plan && expected);
  EXPECT_EQ(plan->with.optimum.params, expected->optimum.params);
  EXPECT_EQ(plan->loss.value, expected->optimum.loss);
  EXPECT_NEAR(plan->epochs.value, multiplier * expected->optimum.epochs, 1e-9);
  EXPECT_GT(*plan->gain.low, 0);
  EXPECT_GE(*plan->gain.high, plan->gain.value);
  EXPECT_LE(*plan->loss.low, plan->loss.value);
}

TEST(RemediedPlans, UseAMeasuredCombination) {
  const PriceList list = list_of(2.1);

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->chosen.arms, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(plan->chosen.arm, "both");
  EXPECT_EQ(plan->chosen.multiplier.value, row_of(list, "both")->effective.multiplier);
  EXPECT_FALSE(plan->product);
}

TEST(RemediedPlans, DoNotMultiplyWhatWasMeasuredToDoTheSame) {
  const PriceList list = list_of(1.2);

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->chosen.arms, std::vector<std::string>{"x"});
}

TEST(RemediedPlans, PayTheOverheadOutOfTheBudget) {
  const PriceList list = list_of({}, 1.25);

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->chosen.arms, std::vector<std::string>{"x"});
  EXPECT_NEAR(plan->chosen.compute, 1.25, 1e-12);
  EXPECT_NEAR((plan->training + plan->overhead) / kRequest.budget, 1, 1e-9);
  EXPECT_NEAR(plan->overhead / plan->training, 0.25, 1e-9);
}

TEST(RemediedPlans, KeepALimitOfEpochsOnTheTokensAtHand) {
  Request limited = kRequest;
  limited.max_epochs = Epochs(6);

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), limited, list_of({}));

  ASSERT_TRUE(plan);
  EXPECT_NEAR(plan->epochs.value, 6, 1e-6);
}

TEST(RemediedPlans, AreThoseOfRepetitionWhereNothingPays) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  append(runs, planted_runs("x", baseline_loss() + 0.02, 1));
  const PriceList list = *price(fit_with_draws(), runs, "repeat", std::vector<Arm>{{.name = "x"}});

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->chosen.arms.empty());
  EXPECT_EQ(plan->gain.value, 0);
  EXPECT_EQ(plan->with.optimum.params, plan->without.optimum.params);
  EXPECT_TRUE(says(plan->doubts, "no remedy is claimed"));
}

TEST(RemediedPlans, LeaveOutAFilterThatHasStoppedPaying) {
  // Half is kept and worth m = 1.1 at 10 epochs; it wears out long before the plan's epochs.
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kQuiet);
  append(runs, planted_runs("filter", remedied_loss(1.1), 1, kQuiet));
  const PriceList list =
      *price(fit_with_draws(),
             runs,
             "repeat",
             std::vector<Arm>{{.name = "filter", .kind = RemedyKind::filter, .kept = 0.5}});
  ASSERT_TRUE(row_of(list, "filter")->claimed());
  ASSERT_TRUE(row_of(list, "filter")->pays->until);
  Request short_run = kRequest;
  short_run.params = kSetting.params;
  Request long_run = short_run;
  long_run.budget = kRequest.budget * 300;

  const Result<RemediedPlan> near = plan_with_remedies(fit_with_draws(), short_run, list);
  const Result<RemediedPlan> far = plan_with_remedies(fit_with_draws(), long_run, list);

  ASSERT_TRUE(near && far);
  EXPECT_EQ(near->chosen.arms.size(), 1U);
  EXPECT_TRUE(far->chosen.arms.empty());
  EXPECT_TRUE(says(far->doubts, "filter is left out"));
}

TEST(RemediedPlans, DoubtWhatWasMeasuredFarFromThePlan) {
  Request large = kRequest;
  large.budget = kRequest.budget * 1000;
  large.unique = kRequest.unique * 30;

  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), large, list_of({}));

  ASSERT_TRUE(plan);
  EXPECT_TRUE(says(plan->doubts, "x was measured at 2.8B parameters"));
}

// A start that is worth 1.5 as long as nobody pays for the models that it comes from.
TEST(RemediedPlans, ChargeWhatARemedyNeeds) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kQuiet);
  std::vector<RemedyRun> dear = planted_runs("start", remedied_loss(1.5), 1, kQuiet), cheap = dear;
  for (RemedyRun& run : dear) run.donors = run.flops * 9;
  for (RemedyRun& run : cheap) run.donors = run.flops * 0.05;
  append(dear, runs);
  append(cheap, runs);
  const std::vector<Arm> arms = {{"start", RemedyKind::start}};
  const PriceList dear_list = *price(fit_with_draws(), dear, "repeat", arms);
  const PriceList cheap_list = *price(fit_with_draws(), cheap, "repeat", arms);

  const Result<RemediedPlan> without = plan_with_remedies(fit_with_draws(), kRequest, dear_list);
  const Result<RemediedPlan> with = plan_with_remedies(fit_with_draws(), kRequest, cheap_list);

  EXPECT_TRUE(dear_list.rows.at(0).claimed());
  EXPECT_FALSE(dear_list.rows.at(0).claimed_with_donors());
  ASSERT_TRUE(without && with);
  EXPECT_TRUE(without->chosen.arms.empty());
  EXPECT_TRUE(says(without->doubts, "while its donors are free"));
  EXPECT_EQ(with->chosen.arms.size(), 1U);
  EXPECT_NEAR(with->chosen.compute, 1.05, 1e-9);
  EXPECT_GT(with->overhead.value, 0);
}

TEST(RemediedPlans, RefuseAListOfAnotherLawAndPools) {
  PriceList list = list_of({});
  Request pools = kRequest;
  pools.pools = {{"web", Tokens(5.5e9)}};

  const Result<RemediedPlan> with_pools = plan_with_remedies(fit_with_draws(), pools, list);
  list.fit = "another";
  const Result<RemediedPlan> refitted = plan_with_remedies(fit_with_draws(), kRequest, list);
  list.law = "overfit-penalty";
  const Result<RemediedPlan> other = plan_with_remedies(fit_with_draws(), kRequest, list);

  ASSERT_FALSE(with_pools);
  EXPECT_EQ(with_pools.error().kind, ErrorKind::usage);
  ASSERT_FALSE(refitted);
  EXPECT_NE(refitted.error().describe().find("another fit"), std::string::npos);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().describe().find("overfit-penalty"), std::string::npos);
}

TEST(RemediedPlans, AreWrittenAsADocument) {
  const Result<RemediedPlan> plan = plan_with_remedies(fit_with_draws(), kRequest, list_of({}));

  const Json document = to_json(*plan, fit_with_draws());

  EXPECT_EQ(document["schema"], "ration.remedied_plan/1");
  EXPECT_EQ(document["with"]["schema"], "ration.plan/1");
  EXPECT_EQ(document["chosen"]["arms"][0], "x");
  EXPECT_EQ(document["gain"]["value"], plan->gain.value);
}

}  // namespace
}  // namespace ration::plan
