// What remedies are worth where the truth is known, and what rows say together.

#include <gtest/gtest.h>

#include <cmath>

#include "planted.h"

namespace ration::plan {
namespace {

constexpr Planted kExact{.deviation = 0};

double alpha() { return kPublished[3]; }

// D' of the published law by its formula.
double effective_tokens(double tokens, double unique) {
  const double scale = std::exp(kPublished[5]), repeats = std::max(tokens / unique - 1, 0.0);
  return std::min(tokens, unique) * (1 + scale * -std::expm1(-repeats / scale));
}

// The published constants as a law of repeated tokens alone, and its loss of D' tokens.
fit::Fit data_fit() {
  fit::Fit fit = published_fit();
  fit.law = fit::find_law("data-constrained-data");
  fit.parameters.resize(6);
  return fit;
}
double loss_of_effective(double effective) {
  return std::exp(kPublished[2]) + std::exp(kPublished[0]) * std::pow(2.8e9, -alpha()) +
         std::exp(kPublished[1]) * std::pow(effective, -kPublished[4]);
}

// 30 % of a corpus are copies of another 30 %: these tokens are seen twice in each epoch. Without
// the copies the distinct 70 % are repeated alike. That is worth 0.003 nats, so that it takes eight
// quiet seeds to see it.
TEST(Deduplication, IsWorthMoreThanOneWhereThirtyInAHundredAreCopies) {
  const double corpus = 5.5e9, seen = 55e9;
  const double raw = loss_of_effective(effective_tokens(0.4 * seen, 0.4 * corpus) +
                                       effective_tokens(0.6 * seen, 0.3 * corpus));
  const double distinct = loss_of_effective(effective_tokens(seen, 0.7 * corpus));
  std::vector<RemedyRun> runs = planted_runs("raw", raw, 0, {.seeds = 8, .deviation = 0.001});
  append(runs, planted_runs("dedup", distinct, 1, {.seeds = 8, .deviation = 0.001}));
  const std::vector<Arm> arms = {{.name = "dedup", .kind = RemedyKind::filter, .kept = 0.7}};

  const Result<PriceList> list = price(data_fit(), runs, "raw", arms);

  ASSERT_TRUE(list);
  const PriceRow& row = list->rows.at(0);
  EXPECT_GT(*row.multiplier.low, 1);
  EXPECT_TRUE(row.claimed());
  ASSERT_TRUE(row.quality);
  EXPECT_NEAR(row.quality->value, row.multiplier.value / 0.7, 1e-9);
}

// Code that teaches nothing about the target: the mixture is its target tokens alone.
TEST(MixingUselessCode, IsWorthNothingWithinItsInterval) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  std::vector<Arm> arms;
  for (const double share : {0.1, 0.2, 0.3, 0.4, 0.5}) {
    arms.push_back({.name = "code" + std::to_string(arms.size()),
                    .kind = RemedyKind::mixing,
                    .added = Tokens(share * 55e9),
                    .family = "code"});
    append(runs,
           planted_runs(
               arms.back().name, published_loss(2.8e9, (1 - share) * 55e9, 5.5e9), arms.size()));
  }

  const Result<PriceList> list = price(fit_with_draws(), runs, "repeat", arms);

  ASSERT_TRUE(list);
  for (const PriceRow& row : list->rows) {
    ASSERT_TRUE(row.worth);
    EXPECT_LE(*row.worth->low, 0) << row.arm;
    EXPECT_GE(*row.worth->high, 0) << row.arm;
    EXPECT_FALSE(row.claimed());
  }
  ASSERT_EQ(list->curves.size(), 1U);
  EXPECT_LE(list->curves[0].at_zero->low.value_or(-1), 0);
}

// Runs of a mixture whose added tokens are worth eta(c) fresh ones.
template <class Worth>
PriceList mixed(const std::vector<double>& shares, const Worth& worth) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kExact);
  std::vector<Arm> arms;
  for (const double share : shares) {
    const double alone = published_loss(2.8e9, (1 - share) * 55e9, 5.5e9);
    const double own =
        fresh_tokens(published_law(), kPublished, Params(2.8e9), Tokens(55e9), Loss(alone))->value;
    const Tokens both(own + worth(share) * share * 55e9);
    arms.push_back({.name = "code" + std::to_string(arms.size()),
                    .kind = RemedyKind::mixing,
                    .added = Tokens(share * 55e9),
                    .family = "code"});
    append(runs,
           planted_runs(
               arms.back().name,
               loss_of_fresh(published_law(), kPublished, Params(2.8e9), Tokens(55e9), both).value,
               arms.size(),
               kExact));
  }
  return *price(published_fit(), runs, "repeat", arms);
}

TEST(MixingCurves, FindThePlantedExponential) {
  const auto worth = [](double share) { return 0.8 * std::exp(-share / 0.4); };

  const PriceList list = mixed({0.1, 0.2, 0.3, 0.4, 0.5}, worth);

  const MixingCurve& curve = list.curves.at(0);
  EXPECT_NEAR(curve.worths[2], worth(0.3), 1e-6);
  EXPECT_NEAR(curve.at_zero->value, 0.8, 1e-4);
  EXPECT_NEAR(curve.scale->value, 0.4, 1e-4);
  // The share that brute force over the planted worth finds best.
  double best = 0, most = 0;
  for (double share = 0; share <= 0.5; share += 0.001) {
    const double alone = published_loss(2.8e9, (1 - share) * 55e9, 5.5e9);
    const double fresh =
        fresh_tokens(published_law(), kPublished, Params(2.8e9), Tokens(55e9), Loss(alone))->value +
        worth(share) * share * 55e9;
    if (fresh > most) most = fresh, best = share;
  }
  EXPECT_NEAR(curve.best_share->value, best, 0.5 / 32);
  EXPECT_GT(curve.best_multiplier.value_or(0), 1);
}

TEST(MixingCurves, NeedFourShares) {
  const PriceList list = mixed({0.1, 0.3, 0.5}, [](double) { return 0.5; });

  EXPECT_EQ(list.curves.at(0).shares.size(), 3U);
  EXPECT_FALSE(list.curves[0].at_zero);
  EXPECT_FALSE(list.curves[0].best_share);
}

TEST(MixingCurves, RecommendNoCodeWhereItHarms) {
  const PriceList list = mixed({0.1, 0.2, 0.3, 0.4}, [](double) { return -0.1; });

  EXPECT_EQ(list.curves.at(0).best_share->value, 0);
  EXPECT_NEAR(list.curves[0].best_multiplier.value_or(0), 1, 1e-6);
}

// Half is kept, each token worth 1.5: good while little is repeated, bad once the half wears out.
TEST(Filters, StopPayingWhereTheKeptPartWearsOut) {
  const double quality = 1.5, corpus = 5.5e9, kept = 0.5 * corpus;
  std::vector<RemedyRun> runs;
  for (const double epochs : {2.0, 6.0, 20.0, 60.0}) {
    Planted how = kExact;
    how.setting.tokens = Tokens(epochs * corpus);
    const double seen = how.setting.tokens.value;
    append(runs, planted_runs("raw", loss_of_effective(effective_tokens(seen, corpus)), 0, how));
    append(
        runs,
        planted_runs("filter", loss_of_effective(quality * effective_tokens(seen, kept)), 1, how));
  }
  const std::vector<Arm> arms = {{.name = "filter", .kind = RemedyKind::filter, .kept = 0.5}};
  double crossing = 1;  // epochs, by the formula
  while (quality * effective_tokens(crossing * corpus, kept) >
         effective_tokens(crossing * corpus, corpus))
    crossing += 1e-3;

  const Result<PriceList> list = price(data_fit(), runs, "raw", arms);

  ASSERT_TRUE(list);
  ASSERT_EQ(list->rows.size(), 4U);
  for (const PriceRow& row : list->rows) {
    ASSERT_TRUE(row.pays && row.pays->until) << row.baseline.tokens.value;
    EXPECT_TRUE(row.pays->by_law);
    EXPECT_NEAR(*row.pays->until, crossing, 0.001 * crossing + 1e-3);
  }
  ASSERT_EQ(list->crossings.size(), 1U);
  EXPECT_EQ(list->crossings[0].tokens.size(), 3U) << "two epochs resolve nothing";
  ASSERT_TRUE(list->crossings[0].crossing);
  EXPECT_NEAR(
      list->crossings[0].crossing->value / corpus, crossing, 0.25 * crossing);  // interpolated
}

// Four domains, each at one share, are no curve.
TEST(MixingCurves, NeedSharesOfOneFamilyThatDiffer) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  std::vector<Arm> apart, alike;
  for (const std::string name : {"kernel", "perl", "code", "dictionary"}) {
    apart.push_back({.name = name, .kind = RemedyKind::mixing, .added = Tokens(5.5e9)});
    alike.push_back(
        {.name = name, .kind = RemedyKind::mixing, .added = Tokens(5.5e9), .family = "one"});
    append(runs, planted_runs(name, remedied_loss(1.1), apart.size()));
  }

  EXPECT_TRUE(price(fit_with_draws(), runs, "repeat", apart)->curves.empty());
  const PriceList list = *price(fit_with_draws(), runs, "repeat", alike);
  ASSERT_EQ(list.curves.size(), 1U);
  EXPECT_FALSE(list.curves[0].at_zero);
}

// Tokens added by each run, not by the arm's first one.
TEST(MixingCode, IsPricedByWhatEachRunAdded) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, kExact);
  std::vector<RemedyRun> mixed = planted_runs("code", remedied_loss(1.0), 1, kExact);
  for (RemedyRun& run : mixed) run.added = Tokens(11e9);
  append(runs, mixed);

  const PriceList list =
      *price(fit_with_draws(), runs, "repeat", std::vector<Arm>{{"code", RemedyKind::mixing}});

  EXPECT_NEAR(list.rows.at(0).share.value_or(0), 0.2, 1e-12);
}

TEST(MoreText, IsNeverARemedysMerit) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0);
  std::vector<RemedyRun> more = planted_runs("more", remedied_loss(2), 1);
  for (RemedyRun& run : more) run.kept = 2;
  append(runs, more);

  const PriceList list = *price(fit_with_draws(), runs, "repeat", std::vector<Arm>{{"more"}});

  EXPECT_TRUE(list.rows.at(0).has(Flag::more_text));
  EXPECT_FALSE(list.rows.at(0).claimed());
}

TEST(SizesOfAnArm, AreNotComparedByRowsOfFewSeeds) {
  for (const int seeds : {2, 5}) {
    std::vector<RemedyRun> runs;
    for (const auto& [size, params] : {std::pair("small", 1.4e9), std::pair("large", 2.8e9)}) {
      Planted how{.size = size, .seeds = seeds};
      how.setting.params = Params(params);
      const Setting& at = how.setting;
      const double loss = published_loss(params, at.tokens.value, at.unique.value);
      append(runs, planted_runs("repeat", loss, 0, how));
      append(runs, planted_runs("x", loss - 0.02, 1, how));
    }

    const PriceList list = *price(fit_with_draws(), runs, "repeat", std::vector<Arm>{{"x"}});

    EXPECT_EQ(list.sizes.size(), seeds == 5 ? 1U : 0U);
  }
}

// m of three arms at 10 epochs; "both" joins the other two.
Result<PriceList> combined(double x, double y, double both, const Planted& how = {}) {
  std::vector<RemedyRun> runs = planted_runs("repeat", baseline_loss(), 0, how);
  append(runs, planted_runs("x", remedied_loss(x), 1, how));
  append(runs, planted_runs("y", remedied_loss(y), 2, how));
  append(runs, planted_runs("both", remedied_loss(both), 3, how));
  const std::vector<Arm> arms = {
      {.name = "x"},
      {.name = "y"},
      {.name = "both", .kind = RemedyKind::combined, .parts = {"x", "y"}}};
  return price(fit_with_draws(), runs, "repeat", arms);
}

TEST(Interactions, MultiplyWhereRemediesAreIndependent) {
  const Result<PriceList> exact = combined(1.5, 1.4, 2.1, kExact);
  const Result<PriceList> noisy = combined(1.5, 1.4, 2.1);

  ASSERT_TRUE(exact && noisy);
  EXPECT_NEAR(exact->interactions.at(0).value.value, 0, 0.01);  // refits only
  EXPECT_TRUE(noisy->interactions.at(0).multiplies);
}

TEST(Interactions, DoNotMultiplyWhereRemediesDoTheSame) {
  const Result<PriceList> list = combined(1.8, 1.8, 1.8, {.deviation = 0.002});

  ASSERT_TRUE(list);
  EXPECT_FALSE(list->interactions.at(0).multiplies);
  EXPECT_LT(*list->interactions[0].value.high, 0);
}

Result<PriceList> two_sizes(double small, double large) {
  std::vector<RemedyRun> runs;
  for (const double params : {2.8e9, 0.4e9}) {
    Planted how{.deviation = 0.002};
    how.setting.params = Params(params);
    how.size = params > 1e9 ? "large" : "small";
    how.seed = params > 1e9 ? 1 : 9;
    append(runs, planted_runs("repeat", baseline_loss(how.setting), 0, how));
    append(
        runs,
        planted_runs("remedy", remedied_loss(params > 1e9 ? large : small, how.setting), 1, how));
  }
  return price(fit_with_draws(), runs, "repeat", std::vector<Arm>{{.name = "remedy"}});
}

TEST(Sizes, AgreeWhereTheMultiplierIsTheSame) {
  const Result<PriceList> list = two_sizes(1.5, 1.5);

  ASSERT_TRUE(list);
  ASSERT_EQ(list->sizes.size(), 1U);
  EXPECT_TRUE(list->sizes[0].agree);
  EXPECT_EQ(list->sizes[0].sizes, (std::vector<std::string>{"small", "large"}));
}

TEST(Sizes, DisagreeWhereTheMultiplierGrows) {
  const Result<PriceList> list = two_sizes(1.1, 3);

  ASSERT_TRUE(list);
  EXPECT_FALSE(list->sizes.at(0).agree);
  EXPECT_NEAR(list->sizes[0].slope.value, std::log(3 / 1.1) / std::log(7.0), 0.1);
  EXPECT_NE(assumptions(*list)[1].find("not so for remedy"), std::string::npos);
}

}  // namespace
}  // namespace ration::plan
