// Runs that a rule of their sweep ends before their last token.

#include "engine_fixture.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// ---- Early stopping -----------------------------------------------------------------------------

// Two runs of 64 tokens and another width each; the better one at half of them goes on.
class EarlyStopTest : public EngineTest {
 protected:
  EarlyStopTest() {
    stop_rules.halving.emplace();
    stop_rules.halving->halving = {.eta = 2, .rungs = {0.5}, .least = 2};
    policy.slots = 2;
    executor.on_stop = [this](std::int64_t attempt, bool) { leave(attempt); };
  }

  static Worker trains(double loss) {
    return [loss](run::RunFolder& folder, const Launch& launch) {
      claim(folder, launch);
      test::append_events(
          folder, launch.number, {test::start_event(launch.token), test::val_event(2, loss)});
      return false;
    };
  }

  // The worker checkpoints and leaves, as it does when it is asked to.
  void leave(std::int64_t attempt) {
    for (const Launch& launch : executor.launches) {
      if (launch.attempt != attempt) continue;
      run::RunFolder of_run(real_files(), launch.run_folder);
      EXPECT_TRUE(real_files().make_folders(of_run.attempt_path(launch.number) / "checkpoint-2"));
      EXPECT_TRUE(of_run.write_exit_status(launch.number, 75));
      executor.ended.push_back(attempt);
    }
  }

  // The first run is the better one, and ends when it is alone.
  void play_two(store::Writer& writer) {
    executor.workers = {trains(3.0), trains(4.0)};
    executor.while_waiting = [&] {
      const RunRow first = rows(writer)[0];
      if (rows(writer)[1].state != RunState::stopped || first.state != RunState::active) return;
      run::RunFolder better = run_folder(two[0]);
      succeeds()(better, executor.launches[0]);
      executor.ended.push_back(executor.launches[0].attempt);
    };
  }

  std::vector<run::RunSpec> two = {test::small_spec(8), test::small_spec(16)};
};

TEST_F(EarlyStopTest, EndsTheWorseOfTwoRunsAtTheRung) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  play_two(writer);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::stopped));
  const RunRow stopped = rows(writer)[1];
  EXPECT_THAT(stopped.reason, HasSubstr("a loss of 4.0000 nats at 50 % of its tokens"));
  EXPECT_TRUE(std::isnan(stopped.final_loss)) << "what it had reached is no result";
  EXPECT_THAT(notes.notes, testing::Contains(HasSubstr("is stopped early")));
  const std::vector<store::EventRow> events = writer.events(stopped.id).value();
  ASSERT_EQ(events.size(), 2);
  EXPECT_THAT((std::vector<std::string>{events[0].what, events[1].what}),
              testing::UnorderedElementsAre("asked to stop", "stopped"));
}

TEST_F(EarlyStopTest, GivesAFitNothingOfAStoppedRun) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  play_two(writer);
  run(writer);

  const std::vector<store::Observation> seen =
      writer.observations({.include_diverged = true}).value();

  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].run, run::run_id(two[0]));
  EXPECT_EQ(writer.evaluations(run::run_id(two[1])).value().size(), 1) << "its curve is kept";
}

TEST_F(EarlyStopTest, DoesNotComeBackWithTheNextCommandNorARebuild) {
  {
    store::Writer writer = open_writer();
    add_sweep(writer, two);
    play_two(writer);
    run(writer);
    EXPECT_EQ(run(writer).launched, 0);
  }

  ASSERT_TRUE(rebuild_store(folder.path(), real_files(), clock));

  store::Writer writer = open_writer();
  EXPECT_THAT(states(writer), testing::UnorderedElementsAre(RunState::done, RunState::stopped));
  EXPECT_EQ(run(writer).launched, 0);
}

TEST_F(EarlyStopTest, RemembersItsDecisionWhenTheSchedulerIsKilledBeforeTheWorkerIsTold) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  play_two(writer);
  executor.on_stop = [](std::int64_t, bool) { throw std::runtime_error("killed here"); };
  EXPECT_THROW(run(writer), std::runtime_error);
  ASSERT_THAT(states(writer), ElementsAre(RunState::active, RunState::active));
  executor.sighting = {.kind = Sighting::Kind::alive};
  executor.on_stop = [this](std::int64_t attempt, bool) { leave(attempt); };

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::stopped));
  EXPECT_EQ(executor.launches.size(), 2) << "nothing was started again";
}

TEST_F(EarlyStopTest, ComparesWithRunsOfEarlierCommands) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  policy.slots = 1;
  executor.workers = {[this](run::RunFolder& of_run, const Launch& launch) {
    claim(of_run, launch);
    test::append_events(
        of_run, launch.number, {test::start_event(launch.token), test::val_event(2, 3.0)});
    EXPECT_TRUE(of_run.publish_result(test::result_of(two[0], launch.number, 3.0)).value());
    return true;
  }};
  executor.everyone = goes_on();
  kill_scheduler_after(2, writer);
  executor.sighting = {.kind = Sighting::Kind::alive};
  run::RunFolder second = run_folder(two[1]);
  test::append_events(
      second, 1, {test::start_event(executor.launches[1].token), test::val_event(2, 4.0)});

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::stopped));
}

TEST_F(EarlyStopTest, GoesOnFromItsCheckpointWhenAPersonRetriesIt) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  play_two(writer);
  run(writer);
  ASSERT_TRUE(mark_retry(real_files(), run_folder(two[1]), clock.now));
  executor.workers = {succeeds(3.9)};
  executor.while_waiting = nullptr;

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done));
  EXPECT_EQ(executor.launches.back().number, 2);
  EXPECT_TRUE(spared(real_files(), run_folder(two[1]))) << "no rule stops it again";
}

TEST_F(EarlyStopTest, EndsARunWhoseFinalLossTheLawTells) {
  store::Writer writer = open_writer();
  add_sweep(writer, two);
  stop_rules = {};
  stop_rules.predicted.emplace();
  law = [&](const Sweep&, const run::RunSpec& spec) {
    return spec == two[1]
               ? std::optional(Foreseen{.loss = 3.9, .low = 3.89, .high = 3.91, .interval = 0.9})
               : std::nullopt;
  };
  play_two(writer);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::stopped));
  EXPECT_THAT(rows(writer)[1].reason,
              HasSubstr("the law predicts its final loss at 50 % of its tokens: 3.9000 nats, "
                        "3.8900 to 3.9100 (90 %)"));
}

}  // namespace
}  // namespace ration::scheduler
