#include "fit/table.h"

#include <gmock/gmock.h>

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
