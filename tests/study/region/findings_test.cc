// Statistics of lines, hulls and centroids on losses whose answers are known.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "region/line.h"
#include "study/region/centroid.h"
#include "study/region/hulls.h"
#include "study/region/lines.h"

namespace ration::study {
namespace {

using testing::ElementsAre;

const Finding& find(const std::vector<Finding>& findings,
                    const std::string& about,
                    const std::string& statistic) {
  for (const Finding& finding : findings)
    if (finding.about == about && finding.statistic == statistic) return finding;
  ADD_FAILURE() << "no finding about " << about << ": " << statistic;
  return findings.front();
}

TEST(LineFindings, TellTheHeightOfAHillAndWhatLiesBeyond) {
  // L = 1 + h sin(pi alpha) between the ends, and 1 + 4 |distance to the nearer end| beyond them.
  std::vector<eval::PointLoss> losses;
  const std::vector<LinePair> lines = {{"near", {}, {}, {"t"}}, {"near", {}, {}, {"t"}}};
  const std::vector<double> heights = {0.5, 0.7}, alphas = region::line_alphas();
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t k = 0; k < alphas.size(); ++k) {
      const double a = alphas[k];
      const double loss = a < 0   ? 1 - 4 * a
                          : a > 1 ? 1 + 4 * (a - 1)
                                  : 1 + heights[i] * std::sin(M_PI * a);
      losses.push_back({line_point(i, k), "t", loss, 1});
    }

  const std::vector<LineResult> results = line_results(lines, RegionLosses(losses));
  const std::vector<Finding> found = line_findings({.draws = 200}, results);

  EXPECT_NEAR(results[1].barrier, 0.7, 1e-12);
  EXPECT_NEAR(results[1].middle, 0.7, 1e-12);
  EXPECT_NEAR(results[0].gain, 0, 1e-12);
  EXPECT_NEAR(results[0].beyond, 4, 1e-9);
  const Estimate barrier = find(found, "near", "barrier (nats)").estimate;
  EXPECT_NEAR(barrier.value, 0.6, 1e-12);
  EXPECT_EQ(barrier.low, 0);  // t of one degree of freedom reaches beyond
  EXPECT_NEAR(barrier.high, 0.6 + 0.1 * std::sqrt(2) * 12.706205 / 1.959964, 1e-5);
}

HullLosses some_losses(const std::string& target, double shift) {
  return {.region = {.name = target, .level = "corpus", .target = target},
          .members = {2.0 + shift, 2.1 + shift, 2.2 + shift},
          .hull = {1.9 + shift, 2.05 + shift, 1.8 + shift, 2.15 + shift},
          .others = {3, 3, 1, 1},
          .random = {9, 9},
          .shuffled = {},
          .corpus_of_other = {"a", "a", "b", "b"},
          .centroid = 1.7 + shift,
          .start = 2.12 + shift};
}

TEST(HullFindings, CountPairsAndResampleWhatIsIndependent) {
  const std::vector<Better> found = better_of({.draws = 500}, some_losses("t", 0));

  ASSERT_EQ(found.size(), 7U);  // no shuffled models
  EXPECT_EQ(found[0].y, "members");
  EXPECT_NEAR(found[0].over_models.value, (3 + 2 + 3 + 1) / 12.0, 1e-12);
  EXPECT_EQ(found[0].over_models.value, found[0].over_samples.value);
  EXPECT_EQ(found[1].y, "other models");
  EXPECT_DOUBLE_EQ(found[1].over_models.value, 0.5);
  EXPECT_EQ(found[1].models, 2);           // corpora, not their four models
  EXPECT_EQ(found[1].over_models.low, 0);  // a draw of one corpus alone
  EXPECT_EQ(found[1].over_models.high, 1);
  EXPECT_EQ(found[2].over_models.low, 1);  // all better than each random one
  EXPECT_EQ(found[3].y, "start");
  EXPECT_TRUE(std::isnan(found[3].over_models.low));  // there is one start
  EXPECT_FALSE(std::isnan(found[3].over_samples.low));
}

TEST(HullFindings, TakeARegionAsOneUnitHoweverManySamplesItHas) {
  const std::vector<HullLosses> losses = {
      some_losses("a", 0), some_losses("b", 0.5), some_losses("c", 0.1)};

  const std::vector<Finding> found = hull_findings({.hull_samples = 4, .draws = 200}, losses);

  const Finding& members = find(found, "corpus level, mean", "hull - members (nats)");
  EXPECT_EQ(members.n, 3);
  EXPECT_NEAR(members.estimate.value, 1.975 - 2.1, 1e-12);
  EXPECT_NEAR(members.estimate.high - members.estimate.low, 0, 1e-9);  // the same in each
  EXPECT_NEAR(
      find(found, "corpus level, mean", "centroid - members (nats)").estimate.value, -0.4, 1e-12);
  EXPECT_NEAR(find(found, "corpus level, mean", "P(hull < members)").estimate.value, 0.75, 1e-12);
  EXPECT_NEAR(find(found, "corpus level, mean", "P(hull < members)").estimate.p, 0.25, 1e-12);
}

Tuned tuned(const std::string& corpus, const std::string& start, std::int64_t seed, double loss) {
  Tuned made{.model = {.corpus = corpus}, .start = start, .loss = loss};
  made.model.spec.seed = seed;
  made.model.spec.tokens = 640;
  return made;
}

TEST(CentroidFindings, PairSeedsAndCountWinsTiesAndLosses) {
  // Against the base: better by 0.2, by nothing that seeds agree on, and worse by 0.1. Seeds shift
  // both sides alike, so that pairing takes their large differences away.
  std::vector<Tuned> runs;
  const auto add = [&](const std::string& corpus, std::vector<double> differences) {
    for (std::size_t seed = 0; seed < 3; ++seed) {
      const double base = 2 + static_cast<double>(seed);
      runs.push_back(tuned(corpus, "base", static_cast<std::int64_t>(seed), base));
      runs.push_back(
          tuned(corpus, "centroid", static_cast<std::int64_t>(seed), base + differences[seed]));
    }
  };
  add("better", {-0.2, -0.21, -0.19});
  add("equal", {-0.1, 0.1, 0.0});
  add("worse", {0.1, 0.11, 0.09});

  const std::vector<Finding> found =
      centroid_findings({.draws = 400}, {"better", "equal", "worse"}, runs);

  const std::string setting = "all, 640 tokens";
  const Finding& all = find(found, setting, "centroid - base (nats)");
  EXPECT_NEAR(all.estimate.value, -0.1 / 3, 1e-12);
  EXPECT_FALSE(all.estimate.differs());
  EXPECT_EQ(all.remark, "better in 1, tied in 1, worse in 1");
  const Finding& one = find(found, "better, " + setting, "centroid - base (nats)");
  EXPECT_NEAR(one.estimate.value, -0.2, 1e-12);
  EXPECT_NEAR(one.estimate.high - one.estimate.low, 2 * 4.302653 * 0.01 / std::sqrt(3), 1e-6);
  EXPECT_TRUE(one.detail);
}

}  // namespace
}  // namespace ration::study
