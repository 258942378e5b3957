// The loop around the state machine, on a real store, with workers that are told what to leave
// behind and a clock that is told the time.

#include "scheduler/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>

#include "run/settings_file.h"
#include "scheduler/branches.h"
#include "scheduler/early_stop.h"
#include "scheduler/graph.h"
#include "scheduler/history.h"
#include "scheduler/scheduler.h"
#include "scheduler/verdict_file.h"
#include "store/store_fixture.h"

namespace ration::scheduler {
namespace {

using store::RunRow;
using store::StillClock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What a worker does: files that it leaves, and whether it has ended then.
using Worker = std::function<bool(run::RunFolder& folder, const Launch& launch)>;

class ScriptedExecutor final : public Executor {
 public:
  ScriptedExecutor(StillClock& clock) : clock_(clock) {}

  bool remote() const override { return is_remote; }
  std::vector<std::int64_t> begun() const override {
    std::vector<std::int64_t> attempts;
    if (!all_queued)
      for (const Launch& launch : launches) attempts.push_back(launch.attempt);
    return attempts;
  }
  bool handed_on(std::int64_t) const override { return !refusal.has_value(); }
  Result<Placement> start(const Launch& launch) override {
    if (on_start) on_start();
    launches.push_back(launch);
    launched_at.push_back(clock_.now);
    run::RunFolder folder(real_files(), launch.run_folder);
    Worker worker = workers.empty() ? everyone : workers.front();
    if (!workers.empty()) workers.pop_front();
    if (worker(folder, launch)) ended.push_back(launch.attempt);
    return Placement{.host = "here", .process = {.boot = "b", .pid = 1, .start = 1}};
  }
  Result<Sighting> find(const Launch& launch, const Placement&) override {
    found.push_back(launch.number);
    return sighting;
  }
  Result<std::vector<std::int64_t>> wait(double seconds, int) override {
    if (ended.empty()) clock_.now += std::max(seconds, 0.01);
    if (while_waiting) while_waiting();
    if (refusal) return *refusal;
    return std::exchange(ended, {});
  }
  void stop(std::int64_t attempt, bool force) override {
    stops.emplace_back(attempt, force);
    if (on_stop) on_stop(attempt, force);
  }

  bool is_remote = false;
  bool all_queued = false;
  std::optional<Error> refusal;  // of everything that was started
  std::function<void()> on_start;
  std::deque<Worker> workers;  // of the next attempts; then `everyone`
  Worker everyone;
  Sighting sighting;
  std::function<void()> while_waiting;
  std::function<void(std::int64_t, bool)> on_stop;
  std::vector<Launch> launches;
  std::vector<double> launched_at;
  std::vector<int> found;
  std::vector<std::int64_t> ended;
  std::vector<std::pair<std::int64_t, bool>> stops;

 private:
  StillClock& clock_;
};

class Notes final : public Observer {
 public:
  void note(std::string_view text) override { notes.emplace_back(text); }
  void progress(const Snapshot& snapshot) override { last = snapshot; }
  std::vector<std::string> notes;
  Snapshot last;
};

class EngineTest : public store::StoreTest {
 protected:
  static void claim(run::RunFolder& folder, const Launch& launch) {
    const Json nobody = {{"boot", ""}, {"pid", 0}, {"start", 0}};
    ASSERT_TRUE(real_files().make_folders(folder.attempt_path(launch.number)));
    ASSERT_TRUE(real_files().write_whole(folder.attempt_path(launch.number) / "supervisor.json",
                                         Json{{"schema", "ration.supervisor/1"},
                                              {"token", launch.token},
                                              {"host", "here"},
                                              {"started", 1.0},
                                              {"supervisor", nobody},
                                              {"worker", nobody}}
                                             .dump()));
  }
  static Worker succeeds(double loss = 3.0) {
    return [loss](run::RunFolder& folder, const Launch& launch) {
      claim(folder, launch);
      const run::RunSpec spec = folder.read_spec().value().spec;
      test::append_events(
          folder, launch.number, {test::start_event(launch.token), test::val_event(4, loss)});
      EXPECT_TRUE(folder.publish_result(test::result_of(spec, launch.number, loss)).value());
      EXPECT_TRUE(folder.write_exit_status(launch.number, 0));
      return true;
    };
  }
  static Worker exits(int status, const std::string& words = {}) {
    return [=](run::RunFolder& folder, const Launch& launch) {
      claim(folder, launch);
      EXPECT_TRUE(real_files().write_whole(folder.log_path(launch.number), words));
      EXPECT_TRUE(folder.write_exit_status(launch.number, status));
      return true;
    };
  }
  static Worker goes_on() {
    return [](run::RunFolder& folder, const Launch& launch) {
      claim(folder, launch);
      return false;
    };
  }

  static std::vector<run::RunSpec> specs(std::int64_t count) {
    std::vector<run::RunSpec> specs;
    for (std::int64_t seed = 0; seed < count; ++seed) specs.push_back(test::small_spec(8, seed));
    return specs;
  }

  static std::vector<RunRow> rows(const store::Writer& writer) {
    return writer.runs(std::nullopt).value();
  }

  // Carries out all runs of the store.
  EngineEnd run(store::Writer& writer) { return try_to_run(writer).value(); }
  Result<EngineEnd> try_to_run(store::Writer& writer) {
    State state;
    state.policy = policy;
    state.used = writer.usage_of_sweep("tiny").value();
    std::vector<Tracked> tracked;
    std::map<std::size_t, Gate> gates;
    for (const RunRow& row : rows(writer)) {
      NodeAndTracked both = restore(writer, real_files(), clock, row, true).value();
      const run::RunSpec spec = writer.spec(row.id).value().spec;
      both.node.flops_left = row.flops;
      state.nodes.push_back(both.node);
      tracked.push_back(both.tracked);
      if (spec.branch_from.empty()) continue;
      const auto trunk = std::find_if(tracked.begin(), tracked.end(), [&](const Tracked& other) {
        return other.id == spec.branch_from;
      });
      gates[tracked.size() - 1] =
          gate_of_branch(spec, static_cast<std::size_t>(trunk - tracked.begin()));
    }
    EXPECT_TRUE(connect(state, std::move(gates)));
    const Expansion all = all_runs(writer);
    const std::vector<RunRow> members = rows(writer);
    Sweep sweep;
    sweep.stop = stop_rules;
    EXPECT_TRUE(prepare_stopping(
        writer,
        {.sweep = &sweep, .number = 0, .all = &all, .members = &members, .law = &law},
        state,
        tracked));
    Engine engine(writer, executor, real_files(), clock, notes, nullptr, options);
    return engine.run(std::move(state), std::move(tracked));
  }
  static Expansion all_runs(const store::Writer& writer) {
    Expansion all;
    for (const RunRow& row : rows(writer)) {
      PlannedRun planned;
      planned.id = row.run;
      planned.spec = writer.spec(row.id).value().spec;
      all.runs.push_back(planned);
    }
    return all;
  }
  // Goes on until so many attempts were started.
  void kill_scheduler_after(std::size_t launches, store::Writer& writer) {
    executor.while_waiting = [this, launches] {
      if (executor.launches.size() == launches) throw std::runtime_error("killed here");
    };
    EXPECT_THROW(run(writer), std::runtime_error);
    executor.while_waiting = nullptr;
  }
  static std::vector<store::RunState> states(store::Writer& writer) {
    std::vector<store::RunState> states;
    for (const RunRow& row : rows(writer)) states.push_back(row.state);
    return states;
  }

  ScriptedExecutor executor{clock};
  Notes notes;
  Policy policy;
  StopRules stop_rules;
  Foreteller law;
  EngineOptions options;
};

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

TEST_F(EngineTest, CountsRetriesOverRestarts) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  policy.retries_killed = 5;
  executor.workers = {exits(137), exits(137), exits(137)};
  executor.everyone = goes_on();
  kill_scheduler_after(4, writer);
  executor.sighting = {.kind = Sighting::Kind::ended};
  executor.everyone = exits(137);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::failed));
  EXPECT_EQ(executor.launches.size(), 6) << "one try and five retries, in both lives together";
}

TEST_F(EngineTest, CountsOverRestartsHowOftenAnAttemptNeverBegan) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  executor.everyone = [](run::RunFolder&, const Launch&) { return false; };  // claims nothing
  executor.sighting = {.kind = Sighting::Kind::ended};
  for (std::size_t life = 1; life <= 6; ++life) kill_scheduler_after(life, writer);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::failed));
  EXPECT_THAT(rows(writer)[0].reason, HasSubstr("could not be started 6 times"));
  EXPECT_EQ(executor.launches.size(), 6);
}

// A command that may not judge sees that the only attempt was killed; then one that may comes.
class SeenByOthers : public EngineTest, public testing::WithParamInterface<int> {};

TEST_P(SeenByOthers, IsJudgedByWhatTheUserAllows) {
  const int retries = GetParam();
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  executor.workers = {exits(137)};
  kill_scheduler_after(1, writer);
  executor.ended.clear();
  executor.sighting = {.kind = Sighting::Kind::ended};
  policy.slots = 0;
  options.detach = true;
  options.judges = false;
  run(writer);
  ASSERT_THAT(states(writer), ElementsAre(RunState::active));
  EXPECT_THAT(rows(writer)[0].reason, HasSubstr("killed by signal 9"));
  EXPECT_EQ(writer.attempts(rows(writer)[0].id).value()[0].failure, FailureClass::killed);

  executor.everyone = succeeds();
  policy = {};
  policy.retries_killed = retries;
  options = {};
  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(retries == 0 ? RunState::failed : RunState::done));
}

INSTANTIATE_TEST_SUITE_P(Retries, SeenByOthers, testing::Values(0, 9));

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

TEST_F(EngineTest, RemembersOverRestartsWhatARunNeeds) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  const std::string ecc = "CUDA error: uncorrectable ECC error encountered\n";
  executor.workers = {exits(137, "oom_kill"), exits(1, ecc), goes_on()};
  kill_scheduler_after(3, writer);
  executor.sighting = {.kind = Sighting::Kind::ended};
  executor.everyone = succeeds();

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  ASSERT_EQ(executor.launches.size(), 4);
  for (const std::size_t later : {2, 3}) {
    EXPECT_EQ(executor.launches[later].memory_factor, 1.5);
    EXPECT_THAT(executor.launches[later].avoid, ElementsAre("here"));
  }
  EXPECT_EQ(executor.launches[0].memory_factor, 1);
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

TEST_F(EngineTest, FollowsALivingAttemptAfterARestart) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  const std::int64_t run_row = add_sweep(writer, all)[0];
  run::RunFolder worked = run_folder(all[0]);
  ASSERT_TRUE(worked.create(all[0], {.data = "/data"}));
  const std::int64_t attempt = writer.begin_attempt(run_row, 1, store::kToken).value();
  executor.sighting = {.kind = Sighting::Kind::alive, .placement = {.host = "here"}};
  int looks = 0;
  executor.while_waiting = [&] {
    if (++looks != 3) return;
    succeeds()(worked, {.number = 1, .token = store::kToken});
    executor.ended.push_back(attempt);
  };

  const EngineEnd end = run(writer);

  EXPECT_EQ(end.adopted, 1);
  EXPECT_THAT(executor.launches, IsEmpty());
  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
}

TEST_F(EngineTest, TakesAResultThatWasPublishedWhileNobodyWatched) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  run::RunFolder worked = run_folder(all[0]);
  ASSERT_TRUE(worked.create(all[0], {.data = "/data"}));
  succeeds(2.25)(worked, {.number = 1, .token = store::kToken});

  run(writer);

  EXPECT_THAT(executor.launches, IsEmpty());
  EXPECT_EQ(rows(writer)[0].final_loss, 2.25);
}

TEST_F(EngineTest, NotesInTheAttemptsFolderHowARunWithoutAResultGoesOn) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  policy.retries_killed = 1;
  executor.everyone = exits(137);

  run(writer);

  const run::RunFolder worked = run_folder(all[0]);
  const auto verdict = [&](int number) {
    return read_verdict(
        real_files(), worked.attempt_path(number), executor.launches.at(number - 1UL).token);
  };
  ASSERT_TRUE(verdict(1) && verdict(2));
  EXPECT_EQ(verdict(1)->update.state, RunState::ready);
  EXPECT_GT(verdict(1)->update.not_before, clock.now - 60);
  EXPECT_EQ(verdict(2)->update.state, RunState::failed);
  EXPECT_EQ(verdict(2)->update.reason, rows(writer)[0].reason);
}

TEST_F(EngineTest, GoesOnBesideAResultThatIsNone) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(2);
  add_sweep(writer, all);
  run::RunFolder damaged = run_folder(all[0]);
  ASSERT_TRUE(damaged.create(all[0], {.data = "/data"}));
  ASSERT_TRUE(real_files().write_whole(damaged.result_path(), "[1,2,3]"));
  executor.everyone = succeeds(2.25);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done));
  EXPECT_THAT(notes.notes, ElementsAre(HasSubstr("result.json.damaged")));
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

TEST_F(EngineTest, KeepsABudgetOfComputeOverSeveralCommands) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(3));
  executor.everyone = succeeds();
  const double flops = rows(writer)[0].flops;
  policy.caps.flops = 2.5 * flops;

  const EngineEnd end = run(writer);

  EXPECT_EQ(end.state.cause, StopCause::budget);
  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done, RunState::ready));
  EXPECT_DOUBLE_EQ(writer.usage_of_sweep("tiny").value().flops, 2 * flops);
  ASSERT_FALSE(notes.notes.empty());
  EXPECT_THAT(notes.notes.back(), HasSubstr("repeat the command"));
  EXPECT_EQ(run(writer).launched, 0) << "the same command again";
  policy.caps.flops = 3 * flops;
  EXPECT_EQ(run(writer).launched, 1);
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

// A trunk, and a run that begins with its checkpoint of step 4.
std::vector<run::RunSpec> trunk_and_branch() {
  std::vector<run::RunSpec> both = {test::small_spec(8, 0), test::small_spec(8, 0)};
  both[1].tokens /= 2;
  both[1].branch_from = run::run_id(both[0]);
  both[1].branch_step = 4;
  return both;
}

TEST_F(EngineTest, StartsABranchAsSoonAsItsTrunkLeavesTheCheckpoint) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = trunk_and_branch();
  add_sweep(writer, all);
  policy.slots = 2;
  executor.workers = {goes_on(), succeeds(2.5)};
  std::string reason;
  int looks = 0;
  executor.while_waiting = [&] {
    run::RunFolder trunk = run_folder(all[0]);
    if (++looks == 3) {
      reason = rows(writer)[1].reason;
      EXPECT_EQ(executor.launches.size(), 1);
      ASSERT_TRUE(real_files().make_folders(trunk.attempt_path(1) / "checkpoint-4"));
    }
    if (looks == 8) {
      EXPECT_EQ(executor.launches.size(), 2) << "beside its trunk, which goes on";
      succeeds(3.0)(trunk, executor.launches[0]);
      executor.ended.push_back(executor.launches[0].attempt);
    }
  };

  run(writer);

  EXPECT_THAT(reason, HasSubstr("waits for step 4 of its trunk"));
  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done));
  EXPECT_EQ(rows(writer)[1].reason, "");
}

TEST_F(EngineTest, SkipsABranchWhoseTrunkFailedAndSaysSo) {
  store::Writer writer = open_writer();
  add_sweep(writer, trunk_and_branch());
  executor.everyone = exits(2);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::invalid, RunState::skipped));
  EXPECT_THAT(rows(writer)[1].reason, HasSubstr("is invalid"));
  EXPECT_EQ(executor.launches.size(), 1);
}

// Trains, and leaves the checkpoint that a branch begins with.
Worker trains_as_trunk() {
  return [](run::RunFolder& folder, const Launch& launch) {
    EXPECT_TRUE(real_files().make_folders(folder.attempt_path(launch.number) / "checkpoint-4"));
    const run::RunSpec spec = folder.read_spec().value().spec;
    EXPECT_TRUE(folder.publish_result(test::result_of(spec, launch.number, 3.0)).value());
    return true;
  };
}

TEST_F(EngineTest, ARetryOfATrunkReleasesItsBranches) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = trunk_and_branch();
  add_sweep(writer, all);
  executor.everyone = exits(2);
  run(writer);
  ASSERT_THAT(states(writer), ElementsAre(RunState::invalid, RunState::skipped));
  ASSERT_TRUE(mark_retry(real_files(), run_folder(all[0]), clock.now));
  ASSERT_TRUE(writer.update_run(rows(writer)[0].id, {.state = RunState::ready}));
  executor.workers = {trains_as_trunk(), succeeds()};

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done));
}

TEST_F(EngineTest, ARetryOfATrunkReleasesItsBranchesUnderAScheduler) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = trunk_and_branch();
  std::vector<run::RunSpec> three = all;
  three.push_back(test::small_spec(8, 7));  // keeps the scheduler on
  add_sweep(writer, three);
  policy.slots = 2;
  executor.workers = {exits(2), goes_on(), trains_as_trunk(), succeeds()};
  int looks = 0;
  executor.while_waiting = [&] {
    if (++looks == 10) {
      ASSERT_THAT(states(writer),
                  ElementsAre(RunState::invalid, RunState::skipped, RunState::active));
      ASSERT_TRUE(mark_retry(real_files(), run_folder(all[0]), clock.now));
      ASSERT_TRUE(real_files().write_whole(writer.layout().requests(),
                                           "retry " + run::run_id(all[0]) + "\n"));
    }
    if (looks == 30) {
      run::RunFolder other = run_folder(three[2]);
      succeeds()(other, executor.launches[1]);
      executor.ended.push_back(executor.launches[1].attempt);
    }
  };

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done, RunState::done));
}

TEST_F(EngineTest, WaitsByTheMonotonicClockWhenTheWallClockJumps) {
  for (const double day : {-86400.0, 86400.0}) {
    store::Writer writer = open_writer();
    add_sweep(writer, {test::small_spec(8, day > 0 ? 1 : 2)});
    executor.workers = {exits(137), succeeds()};
    executor.launched_at.clear();
    executor.while_waiting = [&] { clock.wall_offset = day; };

    run(writer);

    ASSERT_EQ(executor.launched_at.size(), 2);
    const double wait = executor.launched_at[1] - executor.launched_at[0];
    EXPECT_GE(wait, 7.5);
    EXPECT_LE(wait, 14);
  }
}

TEST_F(EngineTest, WaitsNoLongerThanABackoffWhenTheWallClockWentBackBeforeARestart) {
  store::Writer writer = open_writer();
  add_sweep(writer, specs(1));
  executor.workers = {exits(137)};
  executor.while_waiting = [&] {
    if (rows(writer)[0].not_before > 0) throw std::runtime_error("killed while the run waits");
  };
  EXPECT_THROW(run(writer), std::runtime_error);
  executor.while_waiting = nullptr;
  clock.wall_offset = -86400;
  executor.everyone = succeeds();
  const double begin = clock.now;

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  EXPECT_LE(clock.now - begin, 760);
}

TEST_F(EngineTest, SkipsABranchWhoseTrunkKeptNoCheckpoint) {
  store::Writer writer = open_writer();
  add_sweep(writer, trunk_and_branch());
  executor.everyone = succeeds();

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::skipped));
  EXPECT_THAT(rows(writer)[1].reason, HasSubstr("kept no checkpoint of step 4"));
}

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
