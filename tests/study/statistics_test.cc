#include "study/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <utility>

#include "base/random.h"

namespace ration::study {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

// Corpus and seed of each row of a full table, and its value: effects of corpora and seeds that add
// up.
struct Crossed {
  std::vector<std::vector<std::size_t>> factors{2};
  std::vector<double> values;
};

Crossed crossed(std::size_t corpora, std::size_t seeds, double shift, std::uint64_t number) {
  Stream stream(3, StreamId::resampling, number);
  std::vector<double> of_corpus, of_seed;
  for (std::size_t i = 0; i < corpora; ++i) of_corpus.push_back(stream.normal());
  for (std::size_t i = 0; i < seeds; ++i) of_seed.push_back(0.3 * stream.normal());
  Crossed rows;
  for (std::size_t c = 0; c < corpora; ++c)
    for (std::size_t s = 0; s < seeds; ++s) {
      rows.factors[0].push_back(c);
      rows.factors[1].push_back(s);
      rows.values.push_back(shift + of_corpus[c] + of_seed[s]);
    }
  return rows;
}

Estimate mean_of(const Crossed& rows, const Bootstrap& how = {}) {
  return crossed_bootstrap(
      rows.factors,
      [&](std::span<const double> weights) { return weighted_mean(rows.values, weights); },
      how);
}

TEST(PairedT, HasTheIntervalOfTheTables) {
  // Five values of mean 3 and deviation 1.58114; t(4, 0.975) = 2.776445, so 3 +- 1.963243.
  const std::vector<double> values = {1, 2, 3, 4, 5};

  const Estimate estimate = paired_t(values);

  EXPECT_DOUBLE_EQ(estimate.value, 3);
  EXPECT_NEAR(estimate.low, 1.036757, 1e-6);
  EXPECT_NEAR(estimate.high, 4.963243, 1e-6);
  EXPECT_NEAR(estimate.p, 0.013236, 1e-6);  // t = 4.242641 with four degrees of freedom
  EXPECT_TRUE(estimate.differs());
}

TEST(PairedT, OfOneDifferenceHasNoInterval) {
  const Estimate estimate = paired_t(std::vector<double>{0.5});

  EXPECT_DOUBLE_EQ(estimate.value, 0.5);
  EXPECT_TRUE(std::isnan(estimate.low));
  EXPECT_FALSE(estimate.differs());
}

TEST(PairedT, OfEqualDifferencesIsCertain) {
  EXPECT_EQ(paired_t(std::vector<double>{2, 2, 2}).p, 0);
  EXPECT_EQ(paired_t(std::vector<double>{0, 0, 0}).p, 1);
}

TEST(SignTest, CountsTailsOfCoinThrows) {
  EXPECT_DOUBLE_EQ(sign_test(8, 0), 2.0 / 256);
  EXPECT_DOUBLE_EQ(sign_test(1, 7), 2.0 * 9 / 256);
  EXPECT_DOUBLE_EQ(sign_test(4, 4), 1);
  EXPECT_DOUBLE_EQ(sign_test(0, 0), 1);
}

TEST(ProbabilityLower, CountsPairsAndHalvesTies) {
  EXPECT_DOUBLE_EQ(probability_lower(std::vector<double>{1, 2}, std::vector<double>{2, 3}),
                   3.5 / 4);
  EXPECT_TRUE(std::isnan(probability_lower({}, std::vector<double>{1})));
  EXPECT_DOUBLE_EQ(probability_lower(std::vector<double>{1}, std::vector<double>{std::nan("")}), 1);
}

TEST(Holm, AdjustsAsItsStepsSay) {
  EXPECT_THAT(holm(std::vector<double>{0.01, 0.04, 0.03, 0.005}),
              ElementsAre(DoubleNear(0.03, 1e-12),
                          DoubleNear(0.06, 1e-12),
                          DoubleNear(0.06, 1e-12),
                          DoubleNear(0.02, 1e-12)));
  EXPECT_THAT(holm(std::vector<double>{0.7, 0.8}), ElementsAre(1, 1));
  EXPECT_THAT(holm(std::vector<double>{std::nan(""), 0.02}),
              ElementsAre(testing::IsNan(), DoubleNear(0.02, 1e-12)));
}

TEST(Slope, IsThatOfTheLineThroughWeightedPoints) {
  const std::vector<double> x = {0, 1, 2, 9}, y = {1, 3, 5, -7};

  EXPECT_DOUBLE_EQ(slope(x, y, std::vector<double>{1, 2, 1, 0}), 2);
  EXPECT_TRUE(std::isnan(slope(std::vector<double>{1, 1}, std::vector<double>{1, 2}, {})));
}

TEST(CrossedBootstrap, GivesTheSameBytesForTheSameSeed) {
  const Crossed rows = crossed(6, 3, 0, 1);

  const Estimate one = mean_of(rows, {.draws = 500, .seed = 4});
  const Estimate again = mean_of(rows, {.draws = 500, .seed = 4});
  const Estimate other = mean_of(rows, {.draws = 500, .seed = 5});

  EXPECT_EQ(one.low, again.low);
  EXPECT_EQ(one.p, again.p);
  EXPECT_NE(one.low, other.low);
}

TEST(CrossedBootstrap, IsWiderThanOneThatTakesRowsForIndependent) {
  const Crossed rows = crossed(8, 10, 0, 2);
  Crossed independent = rows;
  independent.factors.resize(1);
  for (std::size_t i = 0; i < rows.values.size(); ++i) independent.factors[0][i] = i;

  const Estimate honest = mean_of(rows, {.draws = 1000});
  const Estimate naive = mean_of(independent, {.draws = 1000});

  EXPECT_GT(honest.high - honest.low, 1.8 * (naive.high - naive.low));
}

// How often intervals of `corpora` times `seeds` values hold the truth, and how often p is at most
// 0.05 where there is nothing to find.
struct Rates {
  double covered = 0;
  double claimed = 0;
};

Rates rates(const std::function<Estimate(std::uint64_t world, double shift)>& study) {
  constexpr int kWorlds = 400;
  Rates rates;
  for (std::uint64_t world = 0; world < kWorlds; ++world) {
    const Estimate shifted = study(world, 0.4), null = study(world, 0);
    rates.covered += shifted.low <= 0.4 && 0.4 <= shifted.high ? 1.0 / kWorlds : 0;
    rates.claimed += null.p <= 0.05 ? 1.0 / kWorlds : 0;
  }
  return rates;
}

class FewUnits : public testing::TestWithParam<std::pair<std::size_t, std::size_t>> {};

TEST_P(FewUnits, AreNotTakenForManyByTheCrossedBootstrap) {
  const auto [corpora, seeds] = GetParam();

  const Rates seen = rates([&](std::uint64_t world, double shift) {
    return mean_of(crossed(corpora, seeds, shift, world), {.draws = 300});
  });

  EXPECT_GT(seen.covered, 0.925);
  EXPECT_LT(seen.claimed, 0.08);
}

TEST_P(FewUnits, AreNotTakenForManyByTheNestedBootstrap) {
  const auto [corpora, seeds] = GetParam();

  const Rates seen = rates([&](std::uint64_t world, double shift) {
    Stream stream(5, StreamId::resampling, world);
    std::vector<std::vector<double>> groups(corpora);
    for (std::vector<double>& group : groups) {
      const double of_corpus = stream.normal();
      for (std::size_t i = 0; i < seeds; ++i) group.push_back(shift + of_corpus + stream.normal());
    }
    return nested_bootstrap(groups, {.draws = 300});
  });

  EXPECT_GT(seen.covered, 0.925);
  EXPECT_LT(seen.claimed, 0.08);
}

TEST(CrossedBootstrap, IsNotWidenedByAFactorThatHardlyVaries) {
  // Eight corpora that differ, three seeds that do not: t of 7 degrees of freedom, not of 2.
  Crossed rows = crossed(8, 3, 0, 7);
  Crossed corpora;
  corpora.factors.resize(1);
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    rows.values[i] = rows.values[i - rows.factors[1][i]] + 1e-6 * static_cast<double>(i % 3);
    if (rows.factors[1][i] > 0) continue;
    corpora.factors[0].push_back(rows.factors[0][i]);
    corpora.values.push_back(rows.values[i]);
  }

  const Estimate both = mean_of(rows), one = mean_of(corpora);

  EXPECT_NEAR(both.high - both.low, one.high - one.low, 0.05 * (one.high - one.low));
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         FewUnits,
                         testing::Values(std::pair{3, 3}, std::pair{4, 2}, std::pair{8, 5}));

TEST(NestedBootstrap, FindsWhatIsThere) {
  EXPECT_LT(nested_bootstrap({{1.1, 1.0}, {0.9, 1.2}, {1.0, 0.8}, {1.1, 0.9}, {1.2, 1.0}}).p, 0.02);
}

TEST(NestedBootstrap, OfThreeCorporaOfOneSignProvesLittle) {
  EXPECT_GT(nested_bootstrap({{0.1}, {1.0}, {3.0}}).p, 0.05);
}

TEST(CrossedBootstrap, NeverDrawsLevelsWithoutRows) {
  Crossed rows;
  rows.factors = {{5, 9}};
  rows.values = {1, 1};

  const Estimate estimate = mean_of(rows, {.draws = 200});

  EXPECT_DOUBLE_EQ(estimate.low, 1);
  EXPECT_DOUBLE_EQ(estimate.high, 1);
  EXPECT_FALSE(std::isnan(estimate.p));
}

TEST(NestedBootstrap, IsTheMeanOfGroupMeansWithTheIntervalOfTheirT) {
  // Groups of one value each: means 1, 2, 3, 4, 5, whose t interval is 3 +- 1.963.
  const Estimate estimate = nested_bootstrap({{1}, {}, {2}, {3}, {4}, {5}});

  EXPECT_DOUBLE_EQ(estimate.value, 3);
  EXPECT_NEAR(estimate.low, 1.04, 0.1);
  EXPECT_NEAR(estimate.high, 4.96, 0.1);
}

TEST(NestedBootstrap, HasNoIntervalWithoutValues) {
  EXPECT_TRUE(std::isnan(nested_bootstrap({{}, {}}).value));
  EXPECT_FALSE(nested_bootstrap({}).differs());
}

}  // namespace
}  // namespace ration::study
