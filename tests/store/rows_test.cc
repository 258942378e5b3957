#include <gmock/gmock.h>

#include "store_fixture.h"

namespace ration::store {
namespace {

using tables::Row;

class Rows : public StoreTest {
 protected:
  static std::size_t place(Table table, const std::string& column) {
    const std::vector<tables::Column> columns = columns_of(table);
    for (std::size_t i = 0; i < columns.size(); ++i)
      if (columns[i].name == column) return i;
    ADD_FAILURE() << "no column " << column;
    return 0;
  }
  std::vector<Row> rows(const TableQuery& query) {
    std::vector<Row> all;
    EXPECT_TRUE(writer.each_row(query, [&](const Row& row) {
      EXPECT_EQ(row.size(), columns_of(query.table).size());
      all.push_back(row);
      return Result<void>();
    }));
    return all;
  }
  std::vector<std::string> column(const TableQuery& query, const std::string& name) {
    std::vector<std::string> cells;
    for (const Row& row : rows(query))
      cells.push_back(tables::text_of(row[place(query.table, name)]));
    return cells;
  }
  // Attempt `number` of a run with these training losses at steps 1, 2, …
  void log(std::int64_t run, const run::RunSpec& spec, int number, std::vector<double> losses) {
    const std::string token = run::run_id(spec);
    const std::int64_t attempt = writer.begin_attempt(run, number, token).value();
    std::vector<run::Event> events = {test::start_event(token)};
    for (const double loss : losses)
      events.push_back(test::train_event(static_cast<std::int64_t>(events.size()), loss));
    events.push_back(test::val_event(static_cast<std::int64_t>(losses.size()), losses.back()));
    test::append_events(run_folder(spec), number, events);
    ASSERT_TRUE(writer.ingest({{attempt}}));
  }

  std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16)};
  Writer writer = open_writer();
  std::vector<std::int64_t> ids = add_sweep(writer, specs);
};

TEST_F(Rows, OfRunsHoldWhatTheViewHoldsAndEverySetting) {
  finish(writer, ids[0], specs[0], 2.5);

  const std::vector<Row> all = rows({});

  ASSERT_EQ(all.size(), 2U);
  for (const Row& row : all) {
    const bool first = std::get<std::string>(row[place(Table::runs, "run")]) == run_id(specs[0]);
    EXPECT_EQ(std::get<std::string>(row[place(Table::runs, "state")]), first ? "done" : "ready");
    EXPECT_EQ(std::get<std::int64_t>(row[place(Table::runs, "width")]), first ? 8 : 16);
    EXPECT_EQ(std::get<double>(row[place(Table::runs, "lr")]), specs[0].lr);
    EXPECT_EQ(std::get<std::string>(row[place(Table::runs, "family")]), specs[0].family);
    EXPECT_EQ(tables::text_of(row[place(Table::runs, "final_loss_nats")]), first ? "2.5" : "");
  }
}

TEST_F(Rows, OfSomeRunsAreThoseAlone) {
  log(ids[0], specs[0], 1, {5, 4});
  log(ids[1], specs[1], 1, {3, 2, 1});

  EXPECT_EQ(column({.table = Table::losses, .runs = {{run_id(specs[1])}}}, "loss_nats"),
            std::vector<std::string>{"1"});
  EXPECT_EQ(column({.table = Table::losses}, "loss_nats").size(), 2U);
  EXPECT_TRUE(column({.table = Table::losses, .runs = std::vector<std::string>{}}, "run").empty());
}

TEST_F(Rows, OfMetricsAreOneCurveAfterAnother) {
  log(ids[0], specs[0], 1, {5, 4, 3});

  std::vector<std::string> losses;
  for (const Row& row : rows({.table = Table::metrics}))
    if (std::get<std::string>(row[place(Table::metrics, "name")]) == "train/loss")
      losses.push_back(tables::text_of(row[place(Table::metrics, "value")]));

  EXPECT_EQ(losses, (std::vector<std::string>{"5", "4", "3"}));
}

TEST_F(Rows, OfFitsAreThoseThatUsedOneOfTheRuns) {
  FitWriter fits = FitWriter::open(real_files(), clock, folder.path()).value();
  for (const std::string& run : {run_id(specs[0]), run_id(specs[1])})
    ASSERT_TRUE(fits.record({.law = "law of " + run,
                             .query = "tiny",
                             .status = "converged",
                             .loss = 0.5,
                             .document = {{"a", 1}},
                             .runs = {run}}));

  EXPECT_EQ(column({.table = Table::fits}, "law").size(), 2U);
  EXPECT_EQ(column({.table = Table::fits, .runs = {{run_id(specs[1])}}}, "law"),
            std::vector<std::string>{"law of " + run_id(specs[1])});
}

TEST_F(Rows, StopAtTheVisitorsError) {
  int visited = 0;
  const Result<void> done = writer.each_row({}, [&](const Row&) {
    ++visited;
    return Result<void>(Error{.kind = ErrorKind::resource, .what = "full"});
  });

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "full");
  EXPECT_EQ(visited, 1);
}

}  // namespace
}  // namespace ration::store
