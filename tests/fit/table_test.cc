#include "fit/table.h"

#include <gmock/gmock.h>

#include "fit/loss_unit.h"

namespace ration::fit {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Result<RunTable> read(std::string_view text, const TableOptions& options = {}) {
  Result<Csv> csv = parse_csv(text, "runs.csv");
  if (!csv) return std::move(csv).error();
  return read_runs(*csv, options);
}

std::string problem(std::string_view text, const TableOptions& options = {}) {
  const Result<RunTable> table = read(text, options);
  return table ? "no problem" : table.error().describe();
}

TEST(RunTable, FindsColumnsByTheirUsualNames) {
  for (const char* header : {"params,tokens,unique_tokens,loss",
                             "n_params,total_tokens,unique_tokens,val_loss",
                             "N,D,U,final_loss"}) {
    const Result<RunTable> table = read(std::string(header) + "\n1e9,4e10,1e10,2.5\n");
    ASSERT_TRUE(table) << table.error().describe();
    EXPECT_EQ(table->runs[0].params, Params(1e9));
    EXPECT_EQ(table->runs[0].tokens, Tokens(4e10));
    EXPECT_EQ(table->runs[0].unique, Tokens(1e10));
    EXPECT_EQ(table->runs[0].loss, Loss(2.5));
  }
}

TEST(RunTable, TakesAllTokensAsUniqueWithoutAColumnThatSaysOtherwise) {
  EXPECT_EQ(read("params,tokens,loss\n1e9,2e10,2.5\n")->runs[0].unique, Tokens(2e10));
  EXPECT_EQ(read("params,tokens,epochs,loss\n1e9,2e10,4,2.5\n")->runs[0].unique, Tokens(5e9));
}

TEST(RunTable, TakesColumnsThatAreNamedForIt) {
  const Result<RunTable> table =
      read("params,tokens,loss_c4\n1e9,2e10,2.5\n", {.columns = {{"loss", "loss_c4"}}});
  ASSERT_TRUE(table);
  EXPECT_EQ(table->runs[0].loss, Loss(2.5));
}

TEST(RunTable, ReportsEveryBadCellWithItsPlace) {
  const std::string text = problem(
      "params,tokens,unique_tokens,loss\n"
      "1e9,2e10,1e10,2.5\n"
      "1e9,2e10,1e10,nan\n"
      "1e9,abc,1e10,2.5\n"
      "-5,2e10,1e10,inf\n"
      "1e9,1e10,2e10,2.5\n"
      "1e9,2e10,0,2.5\n");

  EXPECT_THAT(text,
              AllOf(HasSubstr("6 cells of runs.csv"),
                    HasSubstr("runs.csv:3:15"),
                    HasSubstr("runs.csv:4:5"),
                    HasSubstr("\"abc\" is not a number"),
                    HasSubstr("runs.csv:5:1"),
                    HasSubstr("-5 is not above 0"),
                    HasSubstr("loss is inf"),
                    HasSubstr("runs.csv:6:10"),
                    HasSubstr("more than the")));
  EXPECT_THAT(text, AllOf(HasSubstr("runs.csv:7:10"), Not(HasSubstr("runs.csv:2"))));
}

TEST(RunTable, ReportsAMissingColumnWithTheNearestName) {
  EXPECT_THAT(problem("params,tokns,loss\n1e9,2e10,2.5\n"),
              AllOf(HasSubstr("no column for tokens"), HasSubstr("did you mean \"tokns\"")));
  EXPECT_THAT(problem("a,b\n1,2\n"),
              AllOf(HasSubstr("params"), HasSubstr("tokens"), HasSubstr("loss")));
  EXPECT_THAT(problem("params,tokens,loss\n1,2,3\n", {.columns = {{"loss", "lost"}}}),
              HasSubstr("no column \"lost\""));
}

TEST(RunTable, ReportsEveryRowOfTheWrongLength) {
  EXPECT_THAT(
      problem("params,tokens,loss\n1,2\n1,2,3\n1,2,3,4\n"),
      AllOf(HasSubstr("runs.csv:2"), HasSubstr("runs.csv:4"), Not(HasSubstr("runs.csv:3"))));
}

TEST(RunTable, RefusesFilesWithoutRows) {
  EXPECT_THAT(problem(""), HasSubstr("no header row"));
  EXPECT_THAT(problem("params,tokens,loss\n"), HasSubstr("holds no run"));
  EXPECT_THAT(problem("params,tokens,loss\n1e9,2e9,3\n", {.where = "loss>5"}),
              HasSubstr("--where left out all 1 rows"));
}

TEST(RunTable, TakesTheRowsThatWhereSelects) {
  const std::string_view text =
      "params,tokens,loss,split,epochs\n1e9,2e9,3,fit,1\n2e9,2e9,3,fit,30\n3e9,2e9,3,test,2\n";
  const auto sizes = [&](const std::string& where) {
    std::vector<double> params;
    const Result<RunTable> table = read(text, {.where = where});
    for (const Observation& run : table->runs) params.push_back(run.params.value);
    return params;
  };

  EXPECT_EQ(sizes("split=fit"), (std::vector<double>{1e9, 2e9}));
  EXPECT_EQ(sizes("split=fit and epochs<=20"), (std::vector<double>{1e9}));
  EXPECT_EQ(sizes("split!=fit"), (std::vector<double>{3e9}));
  EXPECT_EQ(sizes("epochs > 1 and params>=2e9"), (std::vector<double>{2e9, 3e9}));
  EXPECT_EQ(read(text, {.where = "split=fit"})->left_out, 1U);
}

TEST(RunTable, ExplainsAWhereThatCannotBeUsed) {
  const std::string_view text = "params,tokens,loss,split\n1e9,2e9,3,fit\n";
  EXPECT_THAT(problem(text, {.where = "splt=fit"}), HasSubstr("did you mean \"split\""));
  EXPECT_THAT(problem(text, {.where = "split"}), HasSubstr("is not a comparison"));
  EXPECT_THAT(problem(text, {.where = "loss<high"}), HasSubstr("is not a number"));
}

TEST(RunTable, IgnoresBadCellsInRowsLeftOut) {
  EXPECT_TRUE(read("params,tokens,loss,ok\n1e9,2e9,3,1\nx,y,z,0\n", {.where = "ok=1"}));
}

TEST(RunTable, DropsFlaggedOutliersWhenAsked) {
  const std::string_view text = "params,tokens,loss,outlier\n1e9,2e9,3,1\n2e9,2e9,3,0\n";
  EXPECT_EQ(read(text)->outliers_kept, 1U);
  EXPECT_EQ(read(text, {.drop_outliers = true})->runs.size(), 1U);
  EXPECT_THAT(problem("params,tokens,loss\n1,2,3\n", {.drop_outliers = true}),
              HasSubstr("needs a column \"outlier\""));
}

std::string doubt(std::string_view text) {
  const Csv csv = parse_csv(text, "runs.csv").value();
  const Result<RunTable> table = read_runs(csv);
  if (!table) return table.error().describe();
  const Result<void> usable = check_for_fit(csv, *table);
  return usable ? "no problem" : usable.error().describe();
}

TEST(RunTable, RefusesLossesInOtherUnitsThanNats) {
  EXPECT_THAT(problem("params,tokens,loss,loss_unit\n1,2,3,nats\n1,2,3,nats/token\n1,2,3,bits\n"
                      "1,2,3,ppl\n"),
              AllOf(HasSubstr("runs.csv:4"),
                    HasSubstr("in \"bits\", not in nats"),
                    HasSubstr("runs.csv:5"),
                    Not(HasSubstr("runs.csv:3"))));
  EXPECT_THAT(problem("params,tokens,val_ppl\n1,2,3\n", {.columns = {{"loss", "val_ppl"}}}),
              HasSubstr("column \"val_ppl\" holds losses in perplexity by its name"));
  EXPECT_TRUE(read("params,tokens,loss_nats\n1,2,3\n"));
}

TEST(RunTable, IsNoFitWithOneRunOrEqualLosses) {
  EXPECT_THAT(doubt("params,tokens,loss\n1e9,2e9,3\n"),
              AllOf(HasSubstr("one run is too few"), HasSubstr("line 2 of runs.csv")));
  EXPECT_THAT(doubt("params,tokens,loss,run\n1e9,2e9,3,a\n1e9,3e9,2.9,a\n"),
              AllOf(HasSubstr("all rows belong to \"a\""), HasSubstr("lines 2 to 3")));
  EXPECT_THAT(doubt("params,tokens,loss\n1e9,2e9,3\n# x\n2e9,2e9,3\n"),
              AllOf(HasSubstr("all 2 losses equal 3"), HasSubstr("lines 2, 4")));
  EXPECT_EQ(doubt("params,tokens,loss,run\n1e9,2e9,3,a\n1e9,3e9,2.9,b\n"), "no problem");
}

TEST(RunTable, IsNoFitWithPerplexitiesAmongNats) {
  EXPECT_THAT(doubt("params,tokens,loss\n1e9,2e9,3\n1e9,3e9,21.5\n1e9,4e9,2.8\n"),
              AllOf(HasSubstr("runs.csv:3"), HasSubstr("21.5 among losses in nats")));
}

TEST(RunTable, IsNoFitWithPerplexitiesAsLowAsModelsHaveToday) {
  EXPECT_THAT(doubt("params,tokens,loss\n1e9,2e9,2.6\n1e9,3e9,9.5\n1e9,4e9,2.3\n"),
              AllOf(HasSubstr("runs.csv:3"), HasSubstr("9.5 among losses in nats")));
  EXPECT_EQ(doubt("params,tokens,loss,run\n1e9,2e9,10.9,a\n1e9,3e9,2.5,a\n1e9,3e9,2.4,b\n"),
            "no problem")
      << "a checkpoint of a model that has learned nothing yet";
  EXPECT_THAT(doubt("params,tokens,loss\n1e9,2e9,21\n1e9,3e9,18\n"),
              AllOf(HasSubstr("runs.csv:2"), HasSubstr("runs.csv:3"), HasSubstr("more nats than")));
}

TEST(RunTable, RefusesAColumnThatIsThereTwice) {
  EXPECT_THAT(problem("params,params,tokens,loss\n1e9,2e9,3e9,2.5\n"),
              HasSubstr("several columns are called \"params\""));
  EXPECT_EQ(problem("params,note,note,tokens,loss\n1e9,x,y,3e9,2.5\n"), "no problem")
      << "nobody asks for it";
}

TEST(LossUnits, OfValuesAreMixedOnlyWhereLogarithmsLieAmongTheRest) {
  using Places = std::vector<std::size_t>;
  EXPECT_EQ(perplexities_among(std::vector{3.0, 20.0, 2.5, 16.0}), (Places{1, 3}));
  EXPECT_EQ(perplexities_among(std::vector{20.0, 30.0, 60.0}), Places{}) << "nothing else is there";
  EXPECT_EQ(perplexities_among(std::vector{3.0, 10.9, 2.5}), Places{}) << "an untrained model";
  EXPECT_EQ(perplexities_among(std::vector{3.0, 10.9, 2.5}, 6.5), (Places{1}));
  EXPECT_EQ(perplexities_among(std::vector{3.0, 14.0, 5.0, 9.0}), Places{}) << "no gap";
  EXPECT_EQ(perplexities_among(std::vector{3.0, 1e6, 2.5}), Places{}) << "a loss that exploded";
}

TEST(LossUnits, AreReadInNames) {
  EXPECT_EQ(loss_unit_in("val/ppl"), LossUnit::perplexity);
  EXPECT_EQ(loss_unit_in("eval_bits_per_byte"), LossUnit::bits_per_byte);
  EXPECT_EQ(loss_unit_in("test-BPT"), LossUnit::bits);
  EXPECT_EQ(loss_unit_in("nats/byte"), LossUnit::nats_per_byte);
  EXPECT_EQ(loss_unit_in("loss_nats"), LossUnit::nats);
  EXPECT_FALSE(loss_unit_in("supplied_loss"));
}

TEST(Csv, ReadsLineBreaksInsideQuotes) {
  const Csv csv = parse_csv("name,note\na,\"two\nlines, \"\"quoted\"\"\"\nb,x\n", "t.csv").value();

  ASSERT_EQ(csv.rows.size(), 2U);
  EXPECT_EQ(csv.rows[0].cells[1].text, "two\nlines, \"quoted\"");
  EXPECT_EQ(csv.rows[1].line, 4);
}

TEST(Csv, LetsAQuoteThatIsNeverClosedSpoilItsLineAlone) {
  const Csv csv = parse_csv("name,x\n\"a,1\nb,2\n", "t.csv").value_or(Csv());
  const Result<Csv> same = parse_csv("name,x\n1,\"a\nb,2\n", "t.csv");

  EXPECT_TRUE(csv.rows.empty()) << "its first cell holds the comma";
  ASSERT_TRUE(same);
  EXPECT_EQ(same->rows.size(), 2U);
  EXPECT_EQ(same->rows[0].cells[1].text, "a");
}

TEST(Csv, ReadsQuotesCommentsAndForeignLineEnds) {
  const Result<Csv> csv = parse_csv(
      "\xEF\xBB\xBF# made by hand\r\nname, \"a,b\" ,c\r\n\r\n\"x \"\"y\"\"\",1, 2\r\n", "t.csv");

  ASSERT_TRUE(csv);
  EXPECT_EQ(csv->names(), (std::vector<std::string>{"name", "a,b", "c"}));
  EXPECT_EQ(csv->rows[0].cells[0].text, "x \"y\"");
  EXPECT_EQ(csv->rows[0].cells[2].text, "2");
  EXPECT_EQ(csv->rows[0].line, 4);
}

TEST(Csv, QuotesACellThatNeedsIt) {
  EXPECT_EQ(csv_cell("plain"), "plain");
  EXPECT_EQ(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
}

}  // namespace
}  // namespace ration::fit
