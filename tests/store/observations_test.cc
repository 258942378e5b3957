#include <gmock/gmock.h>

#include <map>

#include "store_fixture.h"

namespace ration::store {
namespace {

using Observations = StoreTest;

TEST_F(Observations, HoldOneRowForEachFinishedRun) {
  Writer writer = open_writer();
  const std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16)};
  const auto ids = add_sweep(writer, specs);
  finish(writer, ids[1], specs[1], 2.5);

  const auto rows = open_reader().observations({.sweep = "tiny"}).value();

  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].run, run::run_id(specs[1]));
  EXPECT_EQ(rows[0].spec, specs[1]);
  EXPECT_EQ(rows[0].sweep, "tiny");
  EXPECT_DOUBLE_EQ(rows[0].final_loss, 2.5);
  EXPECT_DOUBLE_EQ(rows[0].tokens, 64);
  EXPECT_DOUBLE_EQ(rows[0].unique_tokens, 64);
  EXPECT_DOUBLE_EQ(rows[0].epochs, 1);
}

TEST_F(Observations, CarryEveryCountOfParametersAndFlops) {
  Writer writer = open_writer();
  const run::RunSpec spec = test::small_spec();
  finish(writer, add_sweep(writer, {spec})[0], spec, 2.5);

  const Observation row = open_reader().observations({}).value().at(0);

  const run::ParamCounts counts = run::count_params(spec);
  EXPECT_DOUBLE_EQ(row.params.block, counts.block);
  EXPECT_DOUBLE_EQ(row.params.embed, counts.embed);
  EXPECT_DOUBLE_EQ(row.params.head, counts.head);
  EXPECT_DOUBLE_EQ(row.params.total, counts.total);
  for (std::size_t i = 0; i < run::kFlopConventions.size(); ++i)
    EXPECT_DOUBLE_EQ(row.flops[i],
                     64 * run::flops_per_token(spec, run::kFlopConventions[i].convention).value)
        << run::kFlopConventions[i].name;
}

TEST_F(Observations, ShareACellWhenOnlySeedsDiffer) {
  run::RunSpec replica = test::small_spec(8, 1);
  replica.subset_seed = 7;

  EXPECT_EQ(cell_key(test::small_spec(8)), cell_key(replica));
  EXPECT_NE(cell_key(test::small_spec(8)), cell_key(test::small_spec(16)));
}

// In whatever order they are registered, with their beginnings or after them.
TEST_F(Observations, OfReplicasThatBeginWithReplicasShareACell) {
  const run::RunSpec base = test::small_spec(8), again = test::small_spec(8, 1);
  run::RunSpec other = test::small_spec(8, 2);
  other.lr = 0.5;
  const auto tuned = [](const run::RunSpec& beginning, const std::string& step = "") {
    run::RunSpec spec = test::small_spec(8, 3);
    spec.init = "run:" + run::run_id(beginning) + step;
    return spec;
  };
  Writer writer = open_writer();
  const std::vector<run::RunSpec> first = {tuned(base), base, again, tuned(other), other};
  const std::vector<run::RunSpec> second = {tuned(again), tuned(base, "@4"), tuned(again, "@4")};
  const auto first_ids = add_sweep(writer, first);
  const auto second_ids = add_sweep(writer, second, "more");
  for (std::size_t i = 0; i < first.size(); ++i) finish(writer, first_ids[i], first[i], 2.5);
  for (std::size_t i = 0; i < second.size(); ++i) finish(writer, second_ids[i], second[i], 2.5);

  std::map<std::string, std::string> cells;
  const std::vector<Observation> rows = writer.observations({}).value();
  for (const Observation& row : rows) cells[row.run] = row.cell;
  const auto cell = [&](const run::RunSpec& spec) { return cells.at(run::run_id(spec)); };

  EXPECT_EQ(cell(tuned(base)), cell(tuned(again)));
  EXPECT_EQ(cell(tuned(base, "@4")), cell(tuned(again, "@4")));
  EXPECT_NE(cell(tuned(base)), cell(tuned(base, "@4")));
  EXPECT_NE(cell(tuned(base)), cell(tuned(other)));
  EXPECT_NE(cell(tuned(base)), cell(base));
}

TEST_F(Observations, LeaveDivergedRunsOutUnlessAsked) {
  Writer writer = open_writer();
  const run::RunSpec spec = test::small_spec();
  const auto run = add_sweep(writer, {spec})[0];
  const auto attempt = writer.begin_attempt(run, 1, kToken).value();
  Json result = test::result_of(spec, 1, 0);
  result["final_loss"] = "nan";
  ASSERT_TRUE(
      writer.end_attempt(attempt,
                         {.state = AttemptState::succeeded, .failure = FailureClass::diverged},
                         {.state = RunState::diverged},
                         result));

  EXPECT_TRUE(open_reader().observations({}).value().empty());
  const auto rows = open_reader().observations({.include_diverged = true}).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_TRUE(rows[0].diverged);
  EXPECT_TRUE(std::isnan(rows[0].final_loss));
}

TEST_F(Observations, OfARunInTwoSweepsAppearInBoth) {
  Writer writer = open_writer();
  const run::RunSpec shared = test::small_spec(8);
  finish(writer, add_sweep(writer, {shared}, "first")[0], shared, 2.5);
  add_sweep(writer, {shared, test::small_spec(16)}, "second");

  EXPECT_EQ(open_reader().observations({.sweep = "first"}).value().size(), 1U);
  EXPECT_EQ(open_reader().observations({.sweep = "second"}).value().size(), 1U);
}

TEST_F(Observations, OfAnUnknownSweepNameTheKnownOnes) {
  Writer writer = open_writer();
  add_sweep(writer, {test::small_spec()});

  const auto rows = open_reader().observations({.sweep = "tinny"});

  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, ErrorKind::input);
  EXPECT_THAT(rows.error().hint, testing::HasSubstr("tiny"));
}

}  // namespace
}  // namespace ration::store
