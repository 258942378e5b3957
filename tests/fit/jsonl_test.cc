#include "fit/jsonl.h"

#include <gmock/gmock.h>

#include "fit/table.h"

namespace ration::fit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(JsonLines, BecomeATableOfTheirMembers) {
  const Csv csv = parse_jsonl(
                      "{\"name\": \"a\", \"config\": {\"params\": 1e8}, \"loss\": 3.5}\n"
                      "\n"
                      "{\"name\": \"b\", \"tags\": [1, 2], \"loss\": null, \"extra\": true}\n",
                      "runs.jsonl")
                      .value();

  EXPECT_THAT(csv.names(), testing::UnorderedElementsAre("name", "config.params", "loss", "extra"));
  ASSERT_EQ(csv.rows.size(), 2U);
  const auto cell = [&](std::size_t row, const std::string& name) {
    return csv.rows[row].cells[static_cast<std::size_t>(csv.find(name))].text;
  };
  EXPECT_EQ(cell(0, "config.params"), "100000000.0");
  EXPECT_EQ(cell(0, "extra"), "");
  EXPECT_EQ(cell(1, "loss"), "");
  EXPECT_EQ(cell(1, "name"), "b");
  EXPECT_EQ(csv.rows[1].line, 3);
}

TEST(JsonLines, AreReadAsRuns) {
  const Csv csv = parse_table(
                      "{\"config\": {\"params\": 1e8}, \"tokens\": 2e9, \"unique_tokens\": 1e9, "
                      "\"summary\": {\"val\": 3.25}}\n",
                      "export.jsonl")
                      .value();

  const RunTable table =
      read_runs(csv, {.columns = {{"params", "config.params"}, {"loss", "summary.val"}}}).value();

  ASSERT_EQ(table.runs.size(), 1U);
  EXPECT_EQ(table.runs[0].params.value, 1e8);
  EXPECT_EQ(table.runs[0].unique.value, 1e9);
  EXPECT_EQ(table.runs[0].loss.value, 3.25);
}

TEST(JsonLines, NameEveryLineThatIsNoObject) {
  const Result<Csv> csv = parse_jsonl("{\"a\": 1}\n[1]\n{\"a\": \n", "runs.jsonl");

  ASSERT_FALSE(csv);
  EXPECT_EQ(csv.error().causes.size(), 2U);
  EXPECT_THAT(csv.error().describe(), HasSubstr("runs.jsonl:2"));
  EXPECT_FALSE(parse_jsonl("\n", "runs.jsonl"));
}

}  // namespace
}  // namespace ration::fit
