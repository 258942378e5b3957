#include "eval/pairs/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "eval/pairs/generate.h"
#include "eval/pairs/pair_builder.h"

namespace ration::eval {
namespace {

class EvaluationDocument : public testing::Test {
 protected:
  PairTask task = parse_task(generate_pairs({.items = 3}), "made.jsonl").value();
  EvaluationSettings settings = {.task = "generated",
                                 .request = {.prompts = {0, 2}, .context = 500},
                                 .tokenizer = "",
                                 .draws = {.draws = 100}};
  test::WordCodec words;
  Request request = make_request(task, words.codec(), settings.request).value();
  PairScores scores = parse_scores(test::unigram_answer(request), "scores", request).value();
  ItemSums sums = item_sums(task, request, scores).value();
  std::vector<ScoreSummary> summaries = {
      summarise(task, sums, Score::sum, false, settings.draws),
      summarise(task, sums, Score::avg_pmi, false, settings.draws)};
  Evaluation evaluation = {.task = task,
                           .request = request,
                           .settings = settings,
                           .judge = {.name = "x", .sha256 = "s", .run = "r", .step = 4},
                           .summaries = summaries};
};

TEST_F(EvaluationDocument, HasARowForEveryAccuracyOfEachScore) {
  const Json document = document_of(evaluation);

  std::map<std::string, std::size_t> rows;
  for (const Json& row : document.at("results")) ++rows[row.at("part").get<std::string>()];
  EXPECT_EQ(rows["pooled"], 2U * 2);           // scores, prompts
  EXPECT_EQ(rows["corpus"], 2U);               // one without a name
  EXPECT_EQ(rows["group"], 2U * 5 * (2 + 1));  // groups; prompts and their median
  EXPECT_EQ(rows["copied"], 2U * 2 * 2);
  EXPECT_EQ(document.at("lengths").size(), 2U * 2);
  EXPECT_FALSE(document.contains("differences"));
  EXPECT_EQ(document.at("checkpoint").at("step"), 4);
}

TEST_F(EvaluationDocument, SaysWhatTheCheckpointHasOverTheOther) {
  evaluation.against = Judge{.name = "y", .sha256 = "t", .run = "", .step = 0};
  evaluation.comparisons = {compare(task, summaries[1], summaries[0], settings.draws),
                            compare(task, summaries[0], summaries[1], settings.draws)};

  const Json document = document_of(evaluation);

  const Json& first = document.at("differences").at(0);
  EXPECT_EQ(first.at("part"), "pooled");
  EXPECT_NEAR(first.at("difference").get<double>(),
              summaries[0].pooled[0].value - summaries[1].pooled[0].value,
              1e-12);
  EXPECT_TRUE(document.at("against").at("run").is_null());
}

TEST_F(EvaluationDocument, TokensAddUpToTheSums) {
  const std::string text = tokens_text(task, request, settings.request, scores);

  std::size_t lines = 0;
  for (const Json& line : test::lines_of(text)) {
    if (!line.contains("item")) continue;
    ++lines;
    double sum = 0;
    for (const double logp : line.at("logp").get<std::vector<double>>()) sum += logp;
    const auto item = line.at("item").get<std::size_t>();
    const std::size_t place = line.at("prompt") == 0 ? 0 : 1;
    const auto choice = line.at("choice").get<std::size_t>();
    EXPECT_NEAR(sum, sums[item][place][choice].with, 1e-9);
    EXPECT_EQ(line.at("consistent").get<bool>(), choice == task.items[item].label);
    EXPECT_EQ(line.at("tokens").size(), sums[item][place][choice].tokens);
  }
  EXPECT_EQ(lines, 15U * 2 * 2);
}

TEST_F(EvaluationDocument, SumsNameTheirItemAndAreThoseOfItsTokens) {
  const auto tokens = test::lines_of(tokens_text(task, request, settings.request, scores));
  const auto lines =
      test::lines_of(sums_text(task, request, settings.request, scores.checkpoint, sums));

  ASSERT_EQ(lines.size(), tokens.size());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto logp = tokens[i].at("logp").get<std::vector<double>>();
    const PairItem& item = task.items[lines[i].at("item").get<std::size_t>()];
    EXPECT_EQ(lines[i].at("id"), item.id);
    EXPECT_EQ(lines[i].at("line"), item.line);
    EXPECT_EQ(lines[i].at("tokens"), logp.size());
    EXPECT_EQ(lines[i].at("first_token"), tokens[i].at("tokens").at(0));
    EXPECT_EQ(lines[i].at("first"), logp.front());
    EXPECT_NEAR(
        lines[i].at("sum").get<double>(), std::accumulate(logp.begin(), logp.end(), 0.0), 1e-9);
  }
}

}  // namespace
}  // namespace ration::eval
