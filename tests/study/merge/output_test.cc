#include "study/merge/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "study/merge/world.h"

namespace ration::study {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

MergeReport report_of(const test::MadeUp& recovered) {
  const Json table = {
      {"base", "base"},
      {"models", {"tuned"}},
      {"draws", 100},
      {"method",
       {{{"name", "average"}}, {{"name", "ties"}, {"k", {0.1, 0.2}}}, {{"name", "greedy_soup"}}}}};
  MergeReport report{.name = "made-up",
                     .table = read_merge_table(table, "sweep.toml").value(),
                     .models = test::made_up_models(4, 2)};
  report.outcome =
      carry_out_merges(report.table, report.models, test::made_up_losses(recovered)).value();
  report.summaries = merge_summaries(report.table, report.outcome);
  report.claims = merge_claims(report.table, report.outcome);
  return report;
}

double varied(const Json& recipe, std::size_t corpus, std::size_t replica, Half half) {
  return std::sin(static_cast<double>(recipe.dump().size() + 5 * corpus + 11 * replica)) +
         (half == Half::report ? 0.1 : 0);
}

const DataTable& table_of(const std::vector<DataTable>& tables, const std::string& name) {
  for (const DataTable& table : tables)
    if (table.name == name) return table;
  throw std::out_of_range(name);
}

template <class T>
T cell(const DataTable& table, std::size_t row, const std::string& column) {
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].name == column) return std::get<T>(table.rows[row][i]);
  throw std::out_of_range(column);
}

TEST(MergeTables, AreTheFilesThatTheDocumentationNames) {
  std::vector<std::string> names;
  for (const DataTable& table : merge_tables(report_of(varied))) {
    names.push_back(table.name);
    for (const tables::Row& row : table.rows) ASSERT_EQ(row.size(), table.columns.size());
  }

  EXPECT_THAT(names, ElementsAre("merges", "losses", "corpora", "choices", "recovered", "tests"));
}

// What is printed as a mean can be made again from the two tables of single losses.
TEST(MergeTables, HoldAllThatTheMeansAreMadeOf) {
  const std::vector<DataTable> tables = merge_tables(report_of(varied));
  const DataTable &merges = table_of(tables, "merges"), &losses = table_of(tables, "losses");
  struct Sum {
    double loss = 0, recovered = 0, weight = 0;
  };
  std::map<std::pair<std::string, std::int64_t>, Sum> sums;
  for (std::size_t row = 0; row < losses.rows.size(); ++row) {
    if (cell<std::string>(losses, row, "split") != "report") continue;
    const auto merge = static_cast<std::size_t>(cell<std::int64_t>(losses, row, "merge"));
    const auto models = cell<std::int64_t>(merges, merge, "models");
    Sum& sum = sums[{cell<std::string>(merges, merge, "method") + " " +
                         cell<std::string>(merges, merge, "variant"),
                     models}];
    const double weight = 1 / static_cast<double>(models);
    sum.weight += weight;
    sum.loss += weight * cell<double>(losses, row, "loss_nats");
    sum.recovered += weight * cell<double>(losses, row, "recovered");
  }

  const DataTable& recovered = table_of(tables, "recovered");
  for (std::size_t row = 0; row < recovered.rows.size(); ++row) {
    const Sum& sum = sums.at({cell<std::string>(recovered, row, "method") + " " +
                                  cell<std::string>(recovered, row, "variant"),
                              cell<std::int64_t>(recovered, row, "models")});
    EXPECT_NEAR(cell<double>(recovered, row, "recovered"), sum.recovered / sum.weight, 1e-12);
    EXPECT_NEAR(cell<double>(recovered, row, "loss_nats"), sum.loss / sum.weight, 1e-12);
  }
  EXPECT_THAT(recovered.rows, SizeIs(3 * (2 + 5 + 1))) << "three sizes, variants of the methods";
}

TEST(MergePage, ShowsTablesFiguresAndWhatIsInDoubt) {
  const MergeReport report = report_of(
      [](const Json& recipe, auto&&...) { return recipe["method"] == "ties" ? NAN : 0.5; });
  const report::Page page = merge_page(report);

  ASSERT_THAT(page.sections, SizeIs(3));
  EXPECT_THAT(page.sections[0].paragraphs,
              Contains(HasSubstr("losses of merged models are not finite")));
  ASSERT_THAT(page.sections[0].figures, SizeIs(2));
  EXPECT_EQ(page.sections[0].figures[0].name, "recovered-chosen");
  EXPECT_EQ(page.sections[0].figures[0].spec["layer"].size(), 2U);
  EXPECT_THAT(report::to_html(page, ""), HasSubstr("Merging: made-up"));
}

TEST(MergePage, SaysWhereAGridEndsTooEarly) {
  MergeReport report = report_of(varied);
  report.table.methods = {{.label = "ties",
                           .method = "ties",
                           .trials = {{{"lambda", 0.1}, {"k", 0.2}},
                                      {{"lambda", 0.5}, {"k", 0.2}},
                                      {{"lambda", 1.0}, {"k", 0.2}}}}};
  report.outcome.choices = {{.label = "ties", .size = 2, .members = {{"lambda", 0.5}}},
                            {.label = "ties", .size = 3, .members = {{"lambda", 1.0}}},
                            {.label = "ties", .size = 4, .members = {{"lambda", 0.1}}}};

  EXPECT_THAT(
      merge_remarks(report),
      Contains(HasSubstr("ties chose the least or greatest lambda of its grid for 3, 4 models")));
}

}  // namespace
}  // namespace ration::study
