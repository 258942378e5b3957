#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

#include "store/database.h"
#include "store_fixture.h"

namespace ration::store {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Json result(const std::string& part, Json prompt, double accuracy) {
  return {{"score", "avg_pmi"},
          {"skip_first", false},
          {"part", part},
          {"name", ""},
          {"corpus", ""},
          {"prompt", std::move(prompt)},
          {"n", 12},
          {"accuracy", accuracy},
          {"low", accuracy - 0.1},
          {"high", nullptr}};
}

// Of a run's checkpoint after `step`; of a file without a run.
EvalRecord eval_of(const std::string& run, std::int64_t step, double accuracy) {
  return {.document = {{"schema", "ration.eval/1"},
                       {"checkpoint",
                        {{"name", "x"},
                         {"sha256", "abc" + std::to_string(step)},
                         {"run", run.empty() ? Json() : Json(run)},
                         {"step", step > 0 ? Json(step) : Json()}}},
                       {"task", {{"name", "fib"}, {"digest", "d"}}},
                       {"results",
                        {result("pooled", 0, accuracy), result("corpus", nullptr, accuracy)}}},
          .tokens = {}};
}

constexpr const char* kTokens =
    "{\"schema\":\"ration.eval_tokens/1\"}\n"
    R"({"item":0,"prompt":1,"choice":0,"consistent":true,"bytes":5,"tokens":[7,8],"logp":[-1,-2],"logp_without":[-3,-4]})"
    "\n"
    R"({"item":0,"prompt":1,"choice":1,"consistent":false,"bytes":4,"tokens":[9],"logp":[-5],"logp_without":[-6]})"
    "\n";

class Evals : public StoreTest {
 protected:
  std::string record(const EvalRecord& eval) {
    return EvalWriter::open(real_files(), clock, folder.path()).value().record(eval).value();
  }
  std::vector<std::vector<std::string>> table(const TableQuery& query) {
    std::vector<std::vector<std::string>> rows;
    EXPECT_TRUE(open_reader().each_row(query, [&](const tables::Row& row) {
      rows.emplace_back();
      for (const tables::Cell& cell : row) rows.back().push_back(tables::text_of(cell));
      return Result<void>();
    }));
    return rows;
  }

  run::RunSpec spec = test::small_spec();
  std::string id = run::run_id(spec);
};

TEST_F(Evals, OfARunComeInTheOrderOfItsStepsWithTokensAndEpochs) {
  Writer writer = open_writer();
  add_sweep(writer, {spec, test::small_spec(16)});
  record(eval_of(id, 2, 0.7));
  record(eval_of(id, 1, 0.6));
  record(eval_of(run::run_id(test::small_spec(16)), 1, 0.5));

  const std::vector<EvalRow> rows = open_reader().evals_of(id).value();

  ASSERT_THAT(rows, SizeIs(4));
  EXPECT_EQ(rows[0].step, 1);
  EXPECT_EQ(rows[0].part, "corpus");
  EXPECT_FALSE(rows[0].prompt.has_value());
  EXPECT_EQ(rows[1].prompt, 0);
  EXPECT_EQ(rows[3].accuracy, 0.7);
  EXPECT_TRUE(std::isnan(rows[3].high));
  const auto step_tokens = static_cast<double>(spec.batch_sequences * spec.context);
  EXPECT_EQ(rows[0].tokens, std::min(step_tokens, static_cast<double>(spec.tokens)));
  EXPECT_NEAR(rows[0].epochs, rows[0].tokens / static_cast<double>(spec.unique_tokens), 1e-12);
}

TEST_F(Evals, TheSameEvaluationTwiceIsOneAndKeepsItsTokens) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  EvalRecord with_tokens = eval_of(id, 1, 0.6);
  with_tokens.tokens = kTokens;

  const std::string first = record(with_tokens);
  const std::string dump = writer.dump().value();
  const std::string second = record(eval_of(id, 1, 0.6));

  EXPECT_EQ(first, second);
  EXPECT_EQ(writer.dump().value(), dump);
  EXPECT_THAT(dump, HasSubstr("\t0\t1\t0\t2\t-3.0\t-7.0\t-3.0\n"));  // sums of the first choice
}

TEST_F(Evals, OtherScoresOfTheSameEvaluationJoinItWhateverTheCheckpointIsCalled) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  EvalRecord sums = eval_of(id, 1, 0.6), again = eval_of(id, 1, 0.8);
  for (Json& row : sums.document["results"]) row["score"] = "sum";
  again.document["checkpoint"]["name"] = "runs/of/it/checkpoint-1";

  const std::string first = record(eval_of(id, 1, 0.7));
  EXPECT_EQ(record(sums), first);
  EXPECT_EQ(record(again), first);

  std::map<std::string, double> pooled;
  const std::vector<EvalRow> rows = open_reader().evals_of(id).value();
  for (const EvalRow& row : rows)
    if (row.part == "pooled") pooled[row.score] = row.accuracy;
  EXPECT_THAT(pooled,
              testing::ElementsAre(testing::Pair("avg_pmi", 0.8), testing::Pair("sum", 0.6)));
  const StoredEval stored =
      read_eval_record(real_files(), Layout{folder.path()}.evals() / first).value();
  EXPECT_THAT(stored.eval.document.at("results"), SizeIs(4));
  EXPECT_EQ(stored.eval.document.at("checkpoint").at("run"), id);
}

TEST_F(Evals, OfOtherWeightsItemsOrSettingsAreOthers) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  const EvalRecord plain = eval_of(id, 1, 0.6);
  std::set<std::string> digests = {record(plain)};
  for (const auto& [of, name] : {std::pair{"checkpoint", "sha256"},
                                 {"checkpoint", "run"},
                                 {"task", "digest"},
                                 {"settings", "prompts"},
                                 {"settings", "context"},
                                 {"settings", "seed"}}) {
    EvalRecord other = plain;
    other.document[of][name] = "other";
    digests.insert(record(other));
  }
  EXPECT_THAT(digests, SizeIs(7));
}

TEST_F(Evals, KeepTheSumsOfChoicesWithoutTheirTokens) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  EvalRecord eval = eval_of(id, 1, 0.6);
  eval.tokens =
      "{\"schema\":\"ration.eval_sums/1\"}\n"
      R"({"item":0,"id":"x","line":3,"prompt":1,"choice":0,"consistent":true,"bytes":5,"tokens":2,)"
      R"("first_token":7,"sum":-3,"sum_without":-7,"first":-1,"first_without":-3})"
      "\n";

  const std::string digest = record(eval);

  EXPECT_THAT(writer.dump().value(), HasSubstr("\t0\t1\t0\t2\t-3.0\t-7.0\t0.0\n"));  // no tokens
  Database database(Layout{folder.path()}.database(), Access::read, 10);
  Statement row = database.prepare("SELECT id, line, first_token, first_with FROM eval_choice");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.text(0), "x");
  EXPECT_EQ(row.integer(1), 3);
  EXPECT_EQ(row.integer(2), 7);
  EXPECT_EQ(row.real(3), -1);
  EXPECT_EQ(
      read_eval_record(real_files(), Layout{folder.path()}.evals() / digest).value().eval.tokens,
      eval.tokens);
}

TEST_F(Evals, OfAFileAreRowsWithoutARun) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  record(eval_of("", 0, 0.4));

  EXPECT_THAT(table({.table = Table::evals}), SizeIs(2));
  EXPECT_THAT(table({.table = Table::evals, .runs = {{id}}}), IsEmpty());
  EXPECT_THAT(open_reader().evals_of(id).value(), IsEmpty());
}

TEST_F(Evals, TheTableHasTheColumnsOfItsView) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  record(eval_of(id, 1, 0.6));

  const auto rows = table({.table = Table::evals, .runs = {{id}}});

  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_THAT(rows[0], SizeIs(columns_of(Table::evals).size()));
  EXPECT_THAT(rows[1], testing::IsSupersetOf({id, std::string("avg_pmi"), std::string("0.6")}));
}

TEST_F(Evals, AreReadBackFromTheirFiles) {
  EvalRecord eval = eval_of(id, 1, 0.6);
  eval.tokens = kTokens;
  const std::string digest = record(eval);

  const StoredEval stored =
      read_eval_record(real_files(), Layout{folder.path()}.evals() / digest).value();

  EXPECT_EQ(stored.eval.document, eval.document);
  EXPECT_EQ(stored.eval.tokens, kTokens);
  EXPECT_EQ(stored.created, clock.now);
}

TEST_F(Evals, ADocumentOfAnotherKindIsRefusedAndLeavesNothing) {
  Writer writer = open_writer();
  add_sweep(writer, {spec});
  const std::string before = writer.dump().value();
  EvalWriter evals = EvalWriter::open(real_files(), clock, folder.path()).value();
  EvalRecord broken = eval_of(id, 1, 0.6);
  broken.document["results"][1].erase("n");

  const Result<std::string> other = evals.record({.document = {{"schema", "x"}}, .tokens = {}});
  const Result<std::string> half = evals.record(broken);

  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::input);
  EXPECT_FALSE(half);
  EXPECT_EQ(writer.dump().value(), before);
  EXPECT_THAT(real_files().list(Layout{folder.path()}.evals()).value(), IsEmpty());
}

}  // namespace
}  // namespace ration::store
