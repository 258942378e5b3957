// The loop around the state machine, on a real store.

#include "engine_fixture.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(EngineTest, TrainsEveryRunOnceInItsOrder) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(3));
  executor.workers = {succeeds(3.0), succeeds(2.5), succeeds(2.0)};

  const EngineEnd end = run(writer);

  EXPECT_EQ(end.launched, 3);
  std::vector<double> losses;
  for (const RunRow& row : rows(writer)) {
    EXPECT_EQ(row.state, RunState::done);
    EXPECT_EQ(row.attempts, 1);
    losses.push_back(row.final_loss);
  }
  EXPECT_THAT(losses, ElementsAre(3.0, 2.5, 2.0));
  EXPECT_EQ(notes.last.settled, 3);
  EXPECT_EQ(notes.last.fraction, 1);
}

TEST_F(EngineTest, RecordsAllOfARoundBeforeAnyOfItIsStarted) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(5));
  policy.slots = 3;
  std::vector<std::size_t> recorded;
  executor.on_start = [&] { recorded.push_back(writer.live_attempts().value().size()); };
  executor.everyone = succeeds();

  run(writer);

  EXPECT_THAT(recorded, ElementsAre(3, 3, 3, 3, 3)) << "of the next round one more at a time";
}

TEST_F(EngineTest, AttemptsElsewhereGetTheirSettingsAndMakeTheFolder) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  executor.is_remote = true;
  executor.everyone = [this](run::RunFolder& of_run, const Launch& launch) {
    EXPECT_FALSE(real_files().exists(of_run.path()));
    EXPECT_TRUE(run::create_run_folder(real_files(), of_run.path(), launch.settings));
    return succeeds()(of_run, launch);
  };

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  EXPECT_EQ(run_folder(all[0]).read_spec().value().spec, all[0]);
}

TEST_F(EngineTest, ReadsNothingOfAttemptsThatWaitInAQueue) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  const std::int64_t run_row = add_sweep(writer, all)[0];
  executor.all_queued = true;
  executor.everyone = [](run::RunFolder& of_run, const Launch& launch) {
    claim(of_run, launch);
    test::append_events(
        of_run, launch.number, {test::start_event(launch.token), test::val_event(4, 3.0)});
    return false;
  };
  int looks = 0;
  executor.while_waiting = [&] {
    if (++looks == 4) executor.all_queued = false;
    if (looks == 8) throw std::runtime_error("killed here");
    EXPECT_EQ(writer.attempts(run_row).value().at(0).last_step, looks < 5 ? 0 : 4) << looks;
  };

  EXPECT_THROW(run(writer), std::runtime_error);
}

TEST_F(EngineTest, DoesNothingWhenAllIsDone) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(2));
  executor.everyone = succeeds();
  run(writer);

  EXPECT_EQ(run(writer).launched, 0);
  EXPECT_EQ(executor.launches.size(), 2);
}

TEST_F(EngineTest, RetriesAKilledRunWhenItsWaitIsOver) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  executor.workers = {exits(128 + 9), succeeds()};

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  ASSERT_EQ(executor.launched_at.size(), 2);
  EXPECT_GE(executor.launched_at[1] - executor.launched_at[0], 7.5);
  EXPECT_LE(executor.launched_at[1] - executor.launched_at[0], 14);
  EXPECT_EQ(executor.launches[1].number, 2);
  EXPECT_NE(executor.launches[1].token, executor.launches[0].token);
}

TEST_F(EngineTest, TakesBackAttemptsThatTheClusterRefuses) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(2));
  executor.is_remote = true;
  executor.everyone = [](run::RunFolder&, const Launch&) { return false; };
  executor.refusal = Error{.kind = ErrorKind::usage, .what = "no such partition"};

  const Result<EngineEnd> end = try_to_run(writer);

  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().what, "no such partition") << "and no word of active runs";
  EXPECT_THAT(states(writer), ElementsAre(RunState::ready, RunState::ready));
  EXPECT_THAT(writer.attempts(rows(writer)[0].id).value(), IsEmpty());
  executor.refusal.reset();
  executor.is_remote = false;
  executor.everyone = succeeds();
  run(writer);
  EXPECT_EQ(executor.launches.back().number, 1);
}

TEST_F(EngineTest, CallsARunInvalidThatFailsBeforeItsFirstStepInBothLives) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  policy.retries_bug = 5;
  executor.workers = {exits(1), goes_on()};
  kill_scheduler_after(2, writer);
  executor.sighting = {.kind = Sighting::Kind::ended};
  executor.everyone = exits(1);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::invalid));
  EXPECT_EQ(executor.launches.size(), 3) << "one of them was killed, which is another class";
}

TEST_F(EngineTest, HalvesTheMicroBatchAfterRunningOutOfMemory) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  executor.workers = {exits(5), succeeds()};

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  EXPECT_EQ(run_folder(all[0]).read_spec().value().execution.micro_batch_sequences,
            std::max<std::int64_t>(1, all[0].batch_sequences / 2));
}

TEST_F(EngineTest, StartsNothingMoreOnAFullDisk) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(3));
  executor.everyone = exits(1, "cannot write: No space left on device\n");

  const EngineEnd end = run(writer);

  EXPECT_EQ(end.state.cause, StopCause::disk);
  EXPECT_EQ(executor.launches.size(), 1);
  EXPECT_THAT(states(writer), ElementsAre(RunState::ready, RunState::ready, RunState::ready));
  ASSERT_FALSE(notes.notes.empty());
  EXPECT_THAT(notes.notes.back(), HasSubstr("no space left"));
}

// The log of each attempt spans four seconds.
TEST_F(EngineTest, KeepsABudgetOfHoursByWhatTheLogsSay) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(3));
  executor.everyone = succeeds();
  policy.caps.hours = 10.0 / 3600;

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done, RunState::ready));
  EXPECT_EQ(writer.usage_of_sweep("tiny").value().seconds, 8);
}

TEST_F(EngineTest, CountsEachProcessOfARunAsASlotAndEachStepAsOftenAsItWasDone) {
  store::Writer writer = open_writer();
  store::SweepRecord record;
  record.name = "tiny";
  record.members.push_back(store::member_of(specs(1)[0], 0));
  record.members[0].execution.processes = 2;
  ASSERT_TRUE(writer.register_sweep(record));
  const double flops = rows(writer)[0].flops;
  const auto leaves = [](std::int64_t from, std::int64_t step, Worker then) -> Worker {
    return [=](run::RunFolder& own, const Launch& launch) {
      std::vector<run::Event> events = {test::start_event(launch.token)};
      if (from > 0) events.push_back(test::resume_event(from));
      events.push_back(test::train_event(step, 3.0));
      test::append_events(own, launch.number, events);
      return then(own, launch);
    };
  };
  executor.workers = {leaves(0, 3, exits(137)), leaves(2, 3, exits(137)), leaves(2, 4, exits(2))};

  run(writer);

  const store::Usage used = writer.usage_of_sweep("tiny").value();
  EXPECT_DOUBLE_EQ(used.flops, flops * (3 + 1 + 2) / 4);
  EXPECT_EQ(used.seconds, 2 * (3 + 3 + 4));
}

TEST_F(EngineTest, NamesARunThatFailedAndWhereToLook) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  executor.everyone = exits(2);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::invalid));
  ASSERT_EQ(notes.notes.size(), 1);
  EXPECT_THAT(notes.notes[0], HasSubstr("ration explain"));
}

TEST_F(EngineTest, ACancelledRunIsAskedToLeaveAndEndedByForceAfterTheGrace) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  executor.everyone = goes_on();
  options.grace_seconds = 30;
  const Path requests = writer.layout().requests();
  bool asked = false;
  double forced_at = 0;
  executor.while_waiting = [&] {
    if (std::exchange(asked, true)) return;
    ASSERT_TRUE(real_files().write_whole(requests, "cancel " + run::run_id(all[0]) + "\n"));
  };
  executor.on_stop = [&](std::int64_t attempt, bool force) {
    if (!force || forced_at > 0) return;
    forced_at = clock.now;
    ASSERT_TRUE(run_folder(all[0]).write_exit_status(1, 137));
    executor.ended.push_back(attempt);
  };
  const double begin = clock.now;

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::cancelled));
  ASSERT_GE(executor.stops.size(), 2);
  EXPECT_FALSE(executor.stops[0].second);
  EXPECT_GE(forced_at - begin, 30);
  EXPECT_EQ(executor.launches.size(), 1);
}

}  // namespace
}  // namespace ration::scheduler
