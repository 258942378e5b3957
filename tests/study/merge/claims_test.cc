#include "study/merge/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "study/merge/world.h"

namespace ration::study {
namespace {

using test::made_up_losses;
using test::made_up_models;
using testing::SizeIs;

struct Judged {
  MergeTable table;
  MergeOutcome outcome;
};

Judged judged(const test::MadeUp& recovered, std::size_t corpora = 5) {
  const Json table = {{"base", "base"},
                      {"models", {"tuned"}},
                      {"draws", 500},
                      {"method",
                       {{{"name", "average"}},
                        {{"name", "task_arithmetic"}, {"lambda", 0.5}},
                        {{"name", "ties"}, {"k", 0.2}}}}};
  Judged all{.table = read_merge_table(table, "sweep.toml").value(), .outcome = {}};
  all.outcome =
      carry_out_merges(all.table, made_up_models(corpora, 3), made_up_losses(recovered)).value();
  return all;
}

const MergeClaim& claim_of(const std::vector<MergeClaim>& claims,
                           const std::string& statistic,
                           const std::string& other) {
  for (const MergeClaim& claim : claims)
    if (claim.variant == "chosen" && claim.statistic == statistic && claim.other == other)
      return claim;
  throw std::out_of_range(statistic);
}

// TIES loses nothing, the average 0.1 with each model: the slope is 0.1 whatever is resampled.
TEST(MergeClaims, FindAPlantedSlope) {
  const auto [table, outcome] = judged([](const Json& recipe, std::size_t corpus, auto&&...) {
    const double own = 0.05 * static_cast<double>(corpus);
    if (recipe["method"] == "ties") return 0.8 + own;
    return 1 - 0.1 * static_cast<double>(recipe["models"].size()) + own;
  });

  const std::vector<MergeClaim> claims = merge_claims(table, outcome);
  const MergeClaim& slope = claim_of(claims, "slope", "average");

  EXPECT_EQ(slope.method, "ties");
  EXPECT_NEAR(slope.difference.value, 0.1, 1e-12);
  EXPECT_NEAR(slope.difference.low, 0.1, 1e-9);
  EXPECT_NEAR(slope.difference.high, 0.1, 1e-9);
  EXPECT_LT(slope.holm, 0.05);
}

// Sizes 2 to 5 of five corpora have 10, 10, 5 and 1 subsets; each model counts once.
TEST(MergeClaims, CountEachMergedModelOnce) {
  const auto [table, outcome] = judged([](const Json& recipe, auto&&...) {
    return recipe["method"] == "ties" ? 0.1 * static_cast<double>(recipe["models"].size()) : 0.0;
  });

  const std::vector<MergeClaim> claims = merge_claims(table, outcome);

  EXPECT_NEAR(claim_of(claims, "mean", "average").difference.value,
              0.1 * (2 * 10 + 3 * 10 + 4 * 5 + 5 * 1) / 26,
              1e-12);
}

TEST(MergeClaims, ClaimNothingOfNoise) {
  const auto [table, outcome] =
      judged([](const Json& recipe, std::size_t corpus, std::size_t replica, Half) {
        const double sign = (corpus * 3 + replica) % 2 == 0 ? 1 : -1;
        return recipe["method"] == "ties" ? 0.5 + 0.1 * sign : 0.5;
      });

  for (const MergeClaim& claim : merge_claims(table, outcome)) {
    EXPECT_FALSE(claim.difference.differs()) << claim.statistic;
    EXPECT_GT(claim.holm, 0.05);
    EXPECT_GE(claim.holm, claim.difference.p);
  }
}

TEST(MergeClaims, AreOfChosenAndUntunedAgainstWhatTheTableNames) {
  const auto [table, outcome] = judged([](auto&&...) { return 0.5; });

  EXPECT_THAT(merge_claims(table, outcome), SizeIs(2 * 2 * 2))
      << "ties against two others, mean and slope, chosen and untuned";
}

TEST(MergeSummaries, LeaveOutAndCountLossesThatAreNotFinite) {
  const auto [table, outcome] =
      judged([](const Json& recipe, std::size_t corpus, std::size_t, Half half) {
        const bool broken = recipe["method"] == "ties" && corpus == 0 && half == Half::report;
        return broken ? std::nan("") : 0.5;
      });

  for (const MergeSummary& each : merge_summaries(table, outcome)) {
    EXPECT_NEAR(each.recovered.value, 0.5, 1e-12);
    EXPECT_NEAR(each.loss, 2.5, 1e-12);
    const bool with_broken = each.label == "ties" && each.size == 5;
    if (with_broken || each.label == "average") {
      EXPECT_EQ(each.unusable, with_broken ? 3 : 0);
    }
  }
}

}  // namespace
}  // namespace ration::study
