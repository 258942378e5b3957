#include "eval/pairs/summary.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"

namespace ration::eval {
namespace {

ChoiceSums choice(double sum, std::size_t tokens = 1) {
  return {.with = sum, .first_with = sum, .tokens = tokens, .bytes = 1, .gain = sum};
}

// Items of two corpora with groups of unequal size; scores drawn for three prompts.
struct Example {
  PairTask task;
  ItemSums sums;

  explicit Example(std::uint64_t seed = 1) {
    task.groups = {{"alpha", "xsum", 0}, {"beta", "xsum", 0}, {"gamma", "cnn_dm", 0}};
    task.documents = 12;
    Stream stream(seed, StreamId::starts);
    for (std::size_t i = 0; i < 60; ++i) {
      const std::size_t group = i < 34 ? 0 : i < 45 ? 1 : 2;
      ++task.groups[group].items;
      task.items.push_back({.id = fmt::to_string(i),
                            .document = "",
                            .choices = {"short", "a longer one"},
                            .label = stream.below(2),
                            .cluster = stream.below(task.documents),
                            .group = group,
                            .verbatim = stream.below(3) == 0});
      sums.emplace_back();
      for (int q = 0; q < 3; ++q)
        sums.back().push_back({choice(-static_cast<double>(stream.below(4))),
                               choice(-static_cast<double>(stream.below(4)), 2)});
    }
  }
  ScoreSummary summary(Score score = Score::sum) const {
    return summarise(task, sums, score, false, {.draws = 100});
  }
};

TEST(PairSummary, WeighsMediansOfGroupsByTheirItemsEachCorpusApart) {
  const Example example;

  const ScoreSummary summary = example.summary();

  ASSERT_EQ(summary.corpora.size(), 2U);
  const double xsum = (34 * summary.groups[0].median + 11 * summary.groups[1].median) / 45;
  EXPECT_NEAR(summary.corpora[0].share.value, xsum, 1e-12);
  EXPECT_EQ(summary.corpora[0].corpus, "xsum");
  EXPECT_EQ(summary.corpora[0].items, 45U);
  EXPECT_NEAR(summary.corpora[1].share.value, summary.groups[2].median, 1e-12);
}

TEST(PairSummary, PooledSharesCountEveryItemOnce) {
  const Example example;

  const ScoreSummary summary = example.summary();

  for (std::size_t q = 0; q < 3; ++q) {
    double credits = 0;
    for (const std::vector<double>& item : summary.credits) credits += item[q];
    EXPECT_NEAR(summary.pooled[q].value, credits / 60, 1e-12);
    EXPECT_LE(summary.pooled[q].interval.low, summary.pooled[q].value);
    EXPECT_GE(summary.pooled[q].interval.high, summary.pooled[q].value);
  }
}

TEST(PairSummary, PartsAreSharesOfTheirItems) {
  const Example example;

  const ScoreSummary summary = example.summary();

  double copied = 0, items = 0;
  for (std::size_t i = 0; i < 60; ++i)
    if (example.task.items[i].verbatim) copied += summary.credits[i][1], ++items;
  ASSERT_EQ(summary.parts[0].of, "copied");
  ASSERT_EQ(summary.parts[0].part, "yes");
  EXPECT_EQ(static_cast<double>(summary.parts[0].items), items);
  EXPECT_NEAR(summary.parts[0].prompts[1].value, copied / items, 1e-12);
}

TEST(PairSummary, SwappedChoicesFlipTheLabelAndChangeNoAccuracy) {
  const Example plain;
  Example swapped;
  for (std::size_t i = 0; i < swapped.task.items.size(); ++i) {
    PairItem& item = swapped.task.items[i];
    std::swap(item.choices[0], item.choices[1]);
    item.label = 1 - item.label;
    for (auto& both : swapped.sums[i]) std::swap(both[0], both[1]);
  }

  const ScoreSummary a = plain.summary(), b = swapped.summary();

  EXPECT_EQ(a.credits, b.credits);  // with ties: scores are whole numbers of four values
  for (std::size_t q = 0; q < 3; ++q) {
    EXPECT_EQ(a.pooled[q].value, b.pooled[q].value);
    EXPECT_EQ(a.longer_wins[q], b.longer_wins[q]);
  }
}

TEST(PairSummary, TellsHowOftenTheLongerChoiceWins) {
  Example example;
  for (std::size_t i = 0; i < example.sums.size(); ++i)
    for (auto& both : example.sums[i]) both = {choice(-1), choice(i % 4 == 0 ? -2 : -0.5, 3)};

  const ScoreSummary summary = example.summary();

  for (const double wins : summary.longer_wins) EXPECT_NEAR(wins, 0.75, 1e-12);
}

TEST(PairSummary, ComparesCheckpointsItemByItem) {
  const Example first(1), second(2);
  Example other(1);
  other.sums = second.sums;
  const ScoreSummary a = first.summary(), b = other.summary();

  const Comparison comparison = compare(first.task, a, b, {.draws = 100});

  for (std::size_t q = 0; q < 3; ++q)
    EXPECT_NEAR(comparison.pooled[q].value, b.pooled[q].value - a.pooled[q].value, 1e-12);
  EXPECT_NEAR(
      comparison.corpora[0].value, b.corpora[0].share.value - a.corpora[0].share.value, 1e-12);
  std::int64_t only_second = 0, ties = 0;
  double credits = 0;  // of the second less those of the first
  for (std::size_t i = 0; i < 34; ++i) {
    only_second += b.credits[i][2] == 1 && a.credits[i][2] == 0 ? 1 : 0;
    ties +=
        a.credits[i][2] != b.credits[i][2] && (a.credits[i][2] == 0.5 || b.credits[i][2] == 0.5);
    credits += b.credits[i][2] - a.credits[i][2];
  }
  ASSERT_GT(ties, 0);  // which are no pair of the test, and half an item of the difference
  EXPECT_EQ(comparison.groups[0][2].only_second, only_second);
  EXPECT_NEAR(comparison.groups[0][2].difference, credits / 34, 1e-12);
}

TEST(PairSummary, ACheckpointAgainstItselfDiffersInNothing) {
  const Example example;
  const ScoreSummary summary = example.summary();

  const Comparison comparison = compare(example.task, summary, summary, {.draws = 100});

  for (const Share& share : comparison.pooled) {
    EXPECT_EQ(share.value, 0);
    EXPECT_EQ(share.interval.low, 0);
    EXPECT_EQ(share.interval.high, 0);
  }
  EXPECT_EQ(comparison.groups[0][0].p, 1);
}

// k documents of m items each, all right or all wrong together: the deviation is that of k draws.
TEST(ClusterBootstrap, TakesItemsOfOneDocumentForOneDraw) {
  constexpr std::size_t kDocuments = 100;
  const auto share = [](std::span<const double> counts, std::span<double> values) {
    double right = 0, all = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      all += 7 * counts[i];
      right += i % 2 == 0 ? 7 * counts[i] : 0;
    }
    values[0] = right / all;
  };

  const std::vector<Interval> intervals =
      cluster_bootstrap(kDocuments, 1, share, {.draws = 2000, .seed = 3});

  const double half = 1.96 * std::sqrt(0.25 / kDocuments);  // 0.098; of items alone: 0.037
  EXPECT_NEAR(intervals[0].low, 0.5 - half, 0.01);          // steps of 1/100
  EXPECT_NEAR(intervals[0].high, 0.5 + half, 0.01);
}

TEST(ClusterBootstrap, HasNoIntervalForOneDocument) {
  const auto one = [](std::span<const double>, std::span<double> values) { values[0] = 1; };

  EXPECT_TRUE(std::isnan(cluster_bootstrap(1, 1, one, {})[0].low));
}

}  // namespace
}  // namespace ration::eval
