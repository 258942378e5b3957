#include <gmock/gmock.h>

#include <ctime>

#include "run/settings_file.h"
#include "store_fixture.h"

namespace ration::store {
namespace {

using WriterTest = StoreTest;

TEST_F(WriterTest, RegisteringASweepTwiceAddsNothing) {
  Writer writer = open_writer();
  const std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16)};
  add_sweep(writer, specs);
  const std::string before = writer.dump().value();

  add_sweep(writer, specs);

  EXPECT_EQ(writer.dump().value(), before);
  EXPECT_EQ(writer.sweeps().value().size(), 1U);
}

TEST_F(WriterTest, AnEditedSweepIsANewVersionAndKeepsItsRuns) {
  Writer writer = open_writer();
  add_sweep(writer, {test::small_spec(8)}, "tiny", "# one\n");
  clock.now += 60;
  add_sweep(writer, {test::small_spec(8), test::small_spec(16)}, "tiny", "# two\n");

  EXPECT_EQ(writer.sweeps().value().size(), 2U);
  EXPECT_EQ(writer.find_sweep("tiny").value().runs, 2);
  EXPECT_EQ(writer.runs(std::nullopt).value().size(), 2U);
}

TEST_F(WriterTest, ASweepIsFoundByItsNameWhateverItEndsIn) {
  Writer writer = open_writer();
  add_sweep(writer, {test::small_spec(8)}, "tiny", "# one\n");
  clock.now += 60;
  add_sweep(writer, {test::small_spec(8)}, "x.json", "# two\n");
  add_sweep(writer, {test::small_spec(8)}, "x", "# three\n");

  EXPECT_EQ(writer.find_sweep("x.json").value().name, "x.json");
  EXPECT_EQ(writer.find_sweep("x.toml").value().name, "x");
  EXPECT_EQ(writer.find_sweep("tiny.toml").value().name, "tiny");
  EXPECT_EQ(writer.find_sweep("").error().kind, ErrorKind::usage);
}

TEST_F(WriterTest, SweepFilesHoldEverythingThatWasRegistered) {
  Writer writer = open_writer();
  const std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16, 3)};
  add_sweep(writer, specs, "tiny", "# the text\n");

  const SweepRow row = writer.find_sweep("tiny").value();
  const SweepRecord record =
      read_sweep_record(real_files(), writer.layout().sweeps() / ("tiny-" + row.version + ".json"))
          .value();

  EXPECT_EQ(record.source, "# the text\n");
  ASSERT_EQ(record.members.size(), 2U);
  EXPECT_EQ(record.members[1].spec, specs[1]);
  EXPECT_EQ(record.members[1].execution.data, "/data");
  EXPECT_EQ(sweep_version(record), row.version);
}

TEST_F(WriterTest, AnAttemptMakesItsRunActiveAndItsEndSettlesIt) {
  Writer writer = open_writer();
  const run::RunSpec spec = test::small_spec();
  const auto run = add_sweep(writer, {spec})[0];

  const auto attempt = writer.begin_attempt(run, 1, kToken).value();
  EXPECT_EQ(writer.runs(std::nullopt).value()[0].state, RunState::active);
  EXPECT_EQ(writer.live_attempts().value().size(), 1U);

  ASSERT_TRUE(writer.end_attempt(attempt,
                                 {.state = AttemptState::failed,
                                  .failure = FailureClass::killed,
                                  .exit_code = 137,
                                  .ended = clock.now},
                                 {.state = RunState::ready, .reason = "killed", .not_before = 5},
                                 {}));
  const RunRow row = writer.runs(std::nullopt).value()[0];
  EXPECT_EQ(row.state, RunState::ready);
  EXPECT_EQ(row.reason, "killed");
  EXPECT_TRUE(writer.live_attempts().value().empty());
  const AttemptRow ended = writer.attempts(run).value().at(0);
  EXPECT_EQ(ended.failure, FailureClass::killed);
  EXPECT_EQ(ended.exit_code, 137);
}

TEST_F(WriterTest, AttemptsOfOneRoundAreRecordedAllOrNone) {
  Writer writer = open_writer();
  const auto runs = add_sweep(writer, {test::small_spec(8), test::small_spec(16)});
  const std::vector<NewAttempt> clash = {{runs[0], 1, kToken}, {runs[1], 1, kToken}};
  EXPECT_FALSE(writer.begin_attempts(clash)) << "a token is of one attempt alone";
  EXPECT_TRUE(writer.live_attempts().value().empty());
  EXPECT_EQ(writer.runs(std::nullopt).value()[0].state, RunState::ready);

  const std::vector<NewAttempt> round = {{runs[1], 1, kToken}, {runs[0], 3, kOtherToken}};
  const std::vector<std::int64_t> ids = writer.begin_attempts(round, false).value();

  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(writer.attempts(runs[1]).value().at(0).id, ids[0]) << "in the order given";
  EXPECT_EQ(writer.attempts(runs[0]).value().at(0).number, 3);
  EXPECT_EQ(writer.runs(std::nullopt).value()[0].attempts, 3);
}

TEST_F(WriterTest, SettingsAreReadAsTheTextsThatRunJsonIsMadeOf) {
  Writer writer = open_writer();
  const std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16)};
  const auto runs = add_sweep(writer, specs);

  const std::vector<std::int64_t> backwards = {runs[1], runs[0]};
  const std::vector<SettingsText> texts = writer.settings(backwards).value();

  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(run::run_json_text(texts[0].id, texts[0].spec, texts[0].execution),
            run::run_json(specs[1], writer.spec(runs[1]).value().execution));
}

TEST_F(WriterTest, TwoAttemptsOfOneNumberAreRefused) {
  Writer writer = open_writer();
  const auto run = add_sweep(writer, {test::small_spec()})[0];
  ASSERT_TRUE(writer.begin_attempt(run, 1, kToken));

  EXPECT_FALSE(writer.begin_attempt(run, 1, kOtherToken));
}

TEST_F(WriterTest, RunsAreFoundByAnyUniquePrefix) {
  Writer writer = open_writer();
  const std::vector<run::RunSpec> specs = {test::small_spec(8), test::small_spec(16)};
  add_sweep(writer, specs);
  const std::string id = run::run_id(specs[0]);

  EXPECT_EQ(writer.find_run(id).value().run, id);
  EXPECT_EQ(writer.find_run(id.substr(0, 9)).value().run, id);
  EXPECT_FALSE(writer.find_run("").has_value());
  EXPECT_FALSE(writer.find_run("'; DROP TABLE runs;--").has_value());
  EXPECT_FALSE(writer.find_run(id + "0").has_value());
}

TEST_F(WriterTest, ProgressOfTenThousandRunsIsReadInATenthOfASecond) {
  Writer writer = open_writer();
  std::vector<run::RunSpec> specs;
  for (int i = 0; i < 10'000; ++i) specs.push_back(test::small_spec(8, i));
  add_sweep(writer, specs);
  const Reader reader = open_reader();
  const SweepRow sweep = reader.find_sweep("tiny").value();

  const std::clock_t begin = std::clock();  // of this process: other programs do not count
  const Progress progress = reader.progress(sweep.id).value();
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;

  EXPECT_EQ(progress.by_state[static_cast<int>(RunState::ready)], 10'000);
  EXPECT_LT(took, 0.1);
}

}  // namespace
}  // namespace ration::store
