#include "plan/remedies/price.h"

#include <gtest/gtest.h>

#include <cmath>

#include "planted.h"

namespace ration::plan {
namespace {

constexpr Planted kExact{.deviation = 0};

// One arm beside the baseline.
std::vector<RemedyRun> two_arms(double multiplier, const Planted& how = {}) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(how.setting), 0, how);
  append(runs, planted_runs("remedy", remedied_loss(multiplier, how.setting), 1, how));
  return runs;
}

const std::vector<Arm> kOneArm = {{.name = "remedy"}};

TEST(PriceLists, FindAPlantedMultiplierThroughSeedsAndTheLawsBias) {
  const Result<PriceList> list = price(published_fit(), two_arms(1.4, kExact), "repeat", kOneArm);

  ASSERT_TRUE(list) << list.error().describe();
  const PriceRow& row = list->rows.at(0);
  EXPECT_NEAR(row.effective.multiplier, 1.4, 1e-6);
  EXPECT_NEAR(row.multiplier.value, 1.4, 1e-6);
  EXPECT_NEAR(row.unique.value, 1.4 * 5.5e9, 1e4);
  EXPECT_NEAR(row.gain.value, baseline_loss() - remedied_loss(1.4), 1e-9);
  EXPECT_EQ(row.pairs, 5);
}

TEST(PriceLists, GiveIntervalsThatTheFirstOrderErrorConfirms) {
  const Result<PriceList> list = price(fit_with_draws(), two_arms(1.4), "repeat", kOneArm);

  ASSERT_TRUE(list);
  const PriceRow& row = list->rows.at(0);
  EXPECT_LT(*row.multiplier.low, row.effective.multiplier);
  EXPECT_GT(*row.multiplier.high, row.effective.multiplier);
  // Five pairs: the interval is wider than the normal's by Student's t, 2.78/1.96.
  EXPECT_NEAR(row.log_error / row.first_order_error, 2.776 / 1.96, 0.35);
  EXPECT_NEAR(*row.delta.low, *row.delta_t.low, 0.3 * (row.delta.value - *row.delta_t.low));
  EXPECT_LE(row.p, 0.05);
}

TEST(PriceLists, CompareARunThatCostTwiceWithTwiceTheRepetition) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kExact);
  // Truly worth 1.3 at twice the compute; and one half of that again for its donors.
  for (RemedyRun run :
       planted_runs("merge", published_loss(2.8e9, 110e9, 1.3 * 5.5e9), 1, kExact)) {
    run.flops = run.flops * 2;
    run.donors = run.flops * 0.5;
    runs.push_back(run);
  }

  const Result<PriceList> list =
      price(published_fit(), runs, "repeat", std::vector<Arm>{{.name = "merge"}});

  ASSERT_TRUE(list);
  const PriceRow& row = list->rows.at(0);
  EXPECT_DOUBLE_EQ(row.compute, 2);
  EXPECT_NEAR(row.effective.multiplier, 1.3, 1e-6);
  EXPECT_DOUBLE_EQ(row.compute_with_donors.value_or(0), 3);
  ASSERT_TRUE(row.multiplier_with_donors);
  EXPECT_LT(row.multiplier_with_donors->value, 1.3);
}

TEST(PriceLists, SeeNoEffectWhereAnArmDoesNothing) {
  const Result<PriceList> list = price(published_fit(), two_arms(1), "repeat", kOneArm);

  ASSERT_TRUE(list);
  EXPECT_TRUE(list->rows[0].has(Flag::no_effect));
  EXPECT_FALSE(list->rows[0].claimed());
}

TEST(PriceLists, CallItUnresolvableWhereTheBaselineHardlyRepeats) {
  const Setting barely{Params(2.8e9), Tokens(55e9), Tokens(55e9 / 1.5)};

  const Result<PriceList> list =
      price(published_fit(), two_arms(1.2, {.setting = barely}), "repeat", kOneArm);

  ASSERT_TRUE(list);
  EXPECT_TRUE(list->rows[0].has(Flag::not_resolvable));
  EXPECT_FALSE(list->rows[0].claimed());
}

TEST(PriceLists, GiveABoundWhereNoDataWouldDo) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  append(runs, planted_runs("remedy", published_loss(2.8e9, 55e9, 55e9) - 0.1, 1));

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_TRUE(list);
  EXPECT_TRUE(list->rows[0].has(Flag::saturated));
  EXPECT_DOUBLE_EQ(list->rows[0].multiplier.value, 10);
  EXPECT_FALSE(list->rows[0].multiplier.high);
  EXPECT_TRUE(std::isinf(list->rows[0].log_error));
}

TEST(PriceLists, NeitherClaimFewSeedsNorGiveOneAnInterval) {
  const Result<PriceList> four =
      price(published_fit(), two_arms(1.6, {.seeds = 4}), "repeat", kOneArm);
  const Result<PriceList> one =
      price(published_fit(), two_arms(1.6, {.seeds = 1}), "repeat", kOneArm);

  ASSERT_TRUE(four && one);
  EXPECT_TRUE(four->rows[0].has(Flag::few_seeds));
  EXPECT_TRUE(four->rows[0].multiplier.low);
  EXPECT_FALSE(four->rows[0].claimed());
  EXPECT_FALSE(one->rows[0].multiplier.low);
  EXPECT_FALSE(one->rows[0].gain.low);
  EXPECT_EQ(one->rows[0].p, 1);
}

TEST(PriceLists, CountAllArmsBeforeTheyClaim) {
  // One arm with a middling p among 19 that do nothing: alone it differs.
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  append(runs, planted_runs("remedy", baseline_loss() - 0.012, 1));
  std::vector<Arm> arms = kOneArm;
  for (int i = 0; i < 19; ++i) {
    arms.push_back({.name = "idle" + std::to_string(i)});
    append(runs,
           planted_runs(arms.back().name, baseline_loss(), static_cast<std::uint64_t>(i) + 2));
  }

  const Result<PriceList> list = price(published_fit(), runs, "repeat", arms, {.draws = 100});

  ASSERT_TRUE(list);
  const PriceRow& row = *row_of(*list, "remedy");
  ASSERT_LT(row.p, 0.05);
  EXPECT_GT(row.p_holm, row.p);
  EXPECT_EQ(row.has(Flag::not_claimed), row.p_holm >= 0.05 && !row.has(Flag::no_effect));
  for (const PriceRow& other : list->rows)
    EXPECT_FALSE(other.arm != "remedy" && other.claimed()) << other.arm;
}

TEST(PriceLists, FlagALawThatIsNotTrustedOrWasFittedElsewhere) {
  fit::Fit doubted = published_fit();
  doubted.doubts.push_back({"runs", "too few", true});
  fit::Fit elsewhere = fit_with_draws();
  elsewhere.range.epochs = {1, 4};

  const Result<PriceList> untrusted = price(doubted, two_arms(1.6), "repeat", kOneArm);
  const Result<PriceList> outside = price(elsewhere, two_arms(1.6), "repeat", kOneArm);

  ASSERT_TRUE(untrusted && outside);
  EXPECT_TRUE(untrusted->rows[0].has(Flag::law_untrusted));
  EXPECT_TRUE(untrusted->rows[0].has(Flag::law_fixed));
  EXPECT_FALSE(untrusted->rows[0].claimed());
  EXPECT_TRUE(outside->rows[0].has(Flag::outside_fit));
  EXPECT_FALSE(outside->rows[0].has(Flag::law_fixed));
}

TEST(PriceLists, GiveTheScoreOfATaskBesideTheLoss) {
  std::vector<RemedyRun> runs;
  // Scores that rise by 0.1 with each doubling of the unique tokens.
  for (const double times : {0.5, 1.0, 2.0, 4.0}) {
    Planted how = kExact;
    how.setting.unique = kSetting.unique * times;
    for (RemedyRun run : planted_runs("repeat", baseline_loss(how.setting), 0, how)) {
      run.task = 0.3 + 0.1 * std::log2(times);
      runs.push_back(run);
    }
  }
  for (RemedyRun run : planted_runs("remedy", remedied_loss(1.1), 1, kExact)) {
    run.task = 0.45;
    runs.push_back(run);
  }

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_TRUE(list);
  const PriceRow& row = *row_of(*list, "remedy");
  ASSERT_TRUE(row.task && row.task_unique);
  EXPECT_NEAR(row.task->value, 0.15, 1e-12);
  EXPECT_NEAR(row.task_unique->value, kSetting.unique.value * std::exp2(1.5), 1e3);
  EXPECT_NEAR(row.effective.multiplier, 1.1, 1e-6);  // the two scales need not agree
}

TEST(PriceLists, GiveNoTokensForAScoreThatTheBaselineNeverReached) {
  std::vector<RemedyRun> runs = two_arms(1.1, kExact);
  for (RemedyRun& run : runs) run.task = run.arm == "repeat" ? 0.3 : 0.5;

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_TRUE(list);
  EXPECT_TRUE(list->rows[0].task);
  EXPECT_FALSE(list->rows[0].task_unique);
}

TEST(PriceLists, ReadBackWhatTheyWrite) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  std::vector<Arm> arms;
  for (const double share : {0.1, 0.2, 0.3, 0.4}) {
    arms.push_back({.name = "code" + std::to_string(arms.size()),
                    .kind = RemedyKind::mixing,
                    .added = Tokens(share * 55e9)});
    append(runs, planted_runs(arms.back().name, baseline_loss() + 0.01, arms.size()));
  }
  arms.push_back({.name = "filter", .kind = RemedyKind::filter, .kept = 0.5});
  append(runs, planted_runs("filter", baseline_loss() - 0.02, 8));
  arms.push_back({.name = "both", .kind = RemedyKind::combined, .parts = {"filter", "code0"}});
  append(runs, planted_runs("both", baseline_loss() - 1, 9));
  const Result<PriceList> list = price(fit_with_draws(), runs, "repeat", arms, {.draws = 100});
  ASSERT_TRUE(list) << list.error().describe();

  const Json document = to_json(*list);
  const Result<Json> parsed = parse_json(document.dump(), "list.json");
  const Result<PriceList> again = price_list_from_json(*parsed, "list.json");

  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(to_json(*again), document);
  EXPECT_EQ(document["schema"], "ration.remedies/1");
  EXPECT_EQ(again->rows.size(), 6U);
  Json broken = document;
  broken["rows"][0]["flags"] = {"no such flag"};
  EXPECT_FALSE(price_list_from_json(broken, "list.json"));
  broken["schema"] = "ration.plan/1";
  EXPECT_FALSE(price_list_from_json(broken, "list.json"));
  broken = *parsed;
  broken["rows"][0]["compute"] = -1;
  const Result<PriceList> refused = price_list_from_json(broken, "list.json");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("rows[0].compute"), std::string::npos);
  for (const auto& [key, value] : {std::pair<const char*, Json>{"level", 5},
                                   {"rows", Json::object()},
                                   {"rows", Json::array()}}) {
    broken = *parsed;
    broken[key] = value;
    EXPECT_FALSE(price_list_from_json(broken, "list.json")) << key;
  }
}

TEST(PriceLists, DoNotDependOnThreadsOrTheOrderOfRuns) {
  std::vector<RemedyRun> runs = two_arms(1.3);
  const Result<PriceList> one =
      price(fit_with_draws(), runs, "repeat", kOneArm, {.draws = 100, .threads = 1});
  std::reverse(runs.begin(), runs.end());

  const Result<PriceList> three =
      price(fit_with_draws(), runs, "repeat", kOneArm, {.draws = 100, .threads = 3});

  ASSERT_TRUE(one && three);
  EXPECT_EQ(to_json(*one).dump(), to_json(*three).dump());
}

TEST(PriceLists, RefuseWhatCannotBePricedAndNameAllOfIt) {
  std::vector<RemedyRun> runs = two_arms(1.3);
  runs[1].loss = Loss(NAN);
  runs.back().arm = "remdy";
  runs.push_back(runs[2]);
  const std::vector<Arm> arms = {{.name = "remedy", .kind = RemedyKind::mixing},
                                 {.name = "pair", .kind = RemedyKind::combined, .parts = {"pair"}}};

  const Result<PriceList> list = price(published_fit(), runs, "repeat", arms);

  ASSERT_FALSE(list);
  EXPECT_EQ(exit_code(list.error().kind), 2);
  const std::string text = list.error().describe();
  for (const char* part : {"nan nats of loss",
                           "did you mean \"remedy\"",
                           "two runs",
                           "`added`",
                           "joins fewer than two arms",
                           "which is no other arm"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
}

TEST(PriceLists, RefuseABaselineThatSeesLessThanItsUniqueTokens) {
  std::vector<RemedyRun> runs = two_arms(1.3);
  for (RemedyRun& run : runs) run.unique = run.tokens * 2;

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().causes.size(), 5U);
}

TEST(PriceLists, RefuseRunsWithoutAnyPartner) {
  std::vector<RemedyRun> runs = two_arms(1.3);
  for (RemedyRun& run : runs)
    if (run.arm == "remedy") run.seed += 100;

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_FALSE(list);
  EXPECT_NE(list.error().describe().find("no run has a partner"), std::string::npos);
}

TEST(PriceLists, NoteRunsWithoutAPartnerAndPriceTheRest) {
  std::vector<RemedyRun> runs = two_arms(1.3);
  runs.back().seed = 77;

  const Result<PriceList> list = price(published_fit(), runs, "repeat", kOneArm);

  ASSERT_TRUE(list);
  EXPECT_EQ(list->rows[0].pairs, 4);
  ASSERT_EQ(list->notes.size(), 1U);
  EXPECT_NE(list->notes[0].find("1 of 5 runs of remedy"), std::string::npos);
}

}  // namespace
}  // namespace ration::plan
