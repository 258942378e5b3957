#include "eval/pairs/scores.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "eval/pairs/statistics.h"
#include "eval/pairs/summary.h"
#include "support/vectors.h"

namespace ration::eval {
namespace {

constexpr double kTolerance = 1e-9;

ChoiceSums sums(const Json& choice) {
  return sums_of(choice.at("cond").get<std::vector<double>>(),
                 choice.at("null").get<std::vector<double>>(),
                 choice.at("bytes").get<std::size_t>())
      .value();
}

// The vector's items as a task without texts.
PairTask task_of(const Json& examples) {
  PairTask task;
  std::map<std::string, std::size_t> groups;
  for (const Json& example : examples) {
    const std::string name = example.at("group");
    const auto [found, is_new] = groups.emplace(name, task.groups.size());
    if (is_new) task.groups.push_back({.name = name, .corpus = "", .items = 0});
    ++task.groups[found->second].items;
    task.items.push_back({.id = example.at("id"),
                          .document = "",
                          .choices = {"a", "b"},
                          .label = example.at("label").get<std::size_t>(),
                          .cluster = task.items.size(),
                          .group = found->second});
  }
  task.documents = task.items.size();
  return task;
}

ItemSums sums_of_all(const Json& examples) {
  ItemSums all;
  for (const Json& example : examples)
    all.push_back({{sums(example.at("choices")[0]), sums(example.at("choices")[1])}});
  return all;
}

void expect_like(const std::string& name, Score score, bool skip_first) {
  SCOPED_TRACE(name);
  const Json vectors = test::vectors("fib.json");
  const Json& expected = vectors.at("expected").at(name);
  const PairTask task = task_of(vectors.at("examples"));
  const ItemSums all = sums_of_all(vectors.at("examples"));
  const ScoreSummary summary = summarise(task, all, score, skip_first, {.draws = 100});

  for (std::size_t i = 0; i < task.items.size(); ++i) {
    const Json& row = expected.at("rows")[i];
    for (std::size_t c = 0; c < 2; ++c)
      EXPECT_NEAR(
          score_of(all[i][0][c], score, skip_first), row.at("scores")[c].get<double>(), kTolerance);
    EXPECT_EQ(summary.credits[i][0], row.at("credit").get<double>()) << row.at("id");
    const double of_first = credit(
        score_of(all[i][0][0], score, skip_first), score_of(all[i][0][1], score, skip_first), 0);
    EXPECT_EQ(of_first, row.at("predicted").is_null() ? 0.5 : row.at("predicted") == 0 ? 1 : 0);
  }
  EXPECT_NEAR(summary.pooled[0].value, expected.at("accuracy").get<double>(), kTolerance);
  for (std::size_t g = 0; g < task.groups.size(); ++g) {
    const std::string& group = task.groups[g].name;
    EXPECT_NEAR(summary.groups[g].prompts[0].value,
                expected.at("group_accuracy").at(group).get<double>(),
                kTolerance);
    EXPECT_EQ(summary.groups[g].items, expected.at("group_size").at(group).get<std::size_t>());
  }
}

TEST(PairScores, AreThoseOfTheVectors) {
  for (const Score score : kScores) {
    if (score == Score::per_byte_pmi) continue;  // no public code has it
    const std::string name(name_of(score));
    expect_like(name, score, false);
    expect_like(name + "_skip_first", score, true);
  }
}

TEST(PairScores, PmiPerByteIsPmiOverBytes) {
  const Json vectors = test::vectors("fib.json");
  for (const auto& item : sums_of_all(vectors.at("examples")))
    for (const ChoiceSums& choice : item[0])
      EXPECT_NEAR(score_of(choice, Score::per_byte_pmi, false) * static_cast<double>(choice.bytes),
                  score_of(choice, Score::pmi, false),
                  1e-12);  // rounding of two operations
}

TEST(PairScores, WilsonsIntervalsAreThoseOfTheVectors) {
  const Json vectors = test::vectors("fib.json");
  for (const Json& each : vectors.at("wilson95")) {
    const Interval interval = wilson(each.at("correct").get<double>(), each.at("n").get<double>());
    EXPECT_NEAR(interval.low, each.at("interval")[0].get<double>(), kTolerance);
    EXPECT_NEAR(interval.high, each.at("interval")[1].get<double>(), kTolerance);
  }
}

TEST(PairScores, MediansAndTheirWeightedMeanAreThoseOfTheVectors) {
  const Json vectors = test::vectors("fib.json");
  const Json& given = vectors.at("aggregation");
  double sum = 0, items = 0;
  for (const auto& [group, accuracies] : given.at("per_prompt_accuracy").items()) {
    const double middle = median(accuracies.get<std::vector<double>>());
    EXPECT_NEAR(middle, given.at("median_per_group").at(group).get<double>(), kTolerance);
    const auto size = given.at("group_sizes").at(group).get<double>();
    sum += size * middle;
    items += size;
  }
  EXPECT_NEAR(sum / items, given.at("weighted_mean_of_medians").get<double>(), kTolerance);
}

TEST(PairScores, RefuseWhatIsNotFiniteOrEmpty) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> good = {-1, -2}, bad = {-1, nan}, none;

  EXPECT_TRUE(sums_of(good, good, 3).has_value());
  EXPECT_FALSE(sums_of(bad, good, 3).has_value());
  EXPECT_FALSE(sums_of(good, bad, 3).has_value());
  EXPECT_FALSE(sums_of(none, none, 3).has_value());
  EXPECT_FALSE(sums_of(good, none, 3).has_value());
}

TEST(McNemar, IsTwiceTheSmallerBinomialTail) {
  EXPECT_EQ(mcnemar(0, 0), 1);
  EXPECT_NEAR(mcnemar(0, 5), 2.0 / 32, 1e-12);
  EXPECT_NEAR(mcnemar(7, 1), 2 * (1 + 8) / 256.0, 1e-12);
  EXPECT_EQ(mcnemar(4, 4), 1);
}

}  // namespace
}  // namespace ration::eval
