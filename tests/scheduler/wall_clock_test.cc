// What a wall clock that jumps does to waits, durations and budgets; and what a log of requests
// that somebody emptied does to those who read it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "scheduler/attempt_time.h"
#include "scheduler/engine.h"
#include "scheduler/history.h"
#include "scheduler/verdict_file.h"
#include "store/store_fixture.h"

namespace ration::scheduler {
namespace {

constexpr double kDay = 86400;  // seconds

// Workers do what a test says as soon as they are started, and leave with status 0.
class Obedient final : public Executor {
 public:
  explicit Obedient(store::StillClock& clock) : clock_(clock) {}
  Result<Placement> start(const Launch& launch) override {
    run::RunFolder folder(real_files(), launch.run_folder);
    if (work) work(folder, launch);
    if (work) ended_.push_back(launch.attempt);
    return Placement{.host = "here", .process = {.boot = "b", .pid = 1, .start = 1}};
  }
  Result<Sighting> find(const Launch&, const Placement&) override { return Sighting{}; }
  Result<std::vector<std::int64_t>> wait(double seconds, int) override {
    if (ended_.empty()) clock_.now += std::max(seconds, 0.01);
    if (while_waiting) while_waiting();
    return std::exchange(ended_, {});
  }
  std::vector<std::int64_t> begun() const override { return {}; }
  void stop(std::int64_t attempt, bool) override { ended_.push_back(attempt); }

  std::function<void(run::RunFolder& folder, const Launch& launch)> work;
  std::function<void()> while_waiting;

 private:
  store::StillClock& clock_;
  std::vector<std::int64_t> ended_;
};

class Silent final : public Observer {
 public:
  void note(std::string_view) override {}
  void progress(const Snapshot&) override {}
};

class WallClock : public store::StoreTest {
 protected:
  static run::Event at(run::Event event, double t) {
    event.t = t;
    return event;
  }
  // Leaves what a supervisor and a worker leave whose clock jumped by `jump` during 60 s of work.
  void works_for_a_minute(run::RunFolder& run, const Launch& launch, double jump) {
    const double begin = clock.unix_seconds();
    test::append_events(run,
                        launch.number,
                        {at(test::start_event(launch.token), begin),
                         at(test::train_event(2, 3.0), begin + 30),
                         at(test::val_event(4, 3.0), begin + 60 + jump)});
    const run::RunSpec spec = run.read_spec().value().spec;
    EXPECT_TRUE(run.publish_result(test::result_of(spec, launch.number, 3.0)).value());
    EXPECT_TRUE(write_attempt_time(
        real_files(), run.attempt_path(launch.number), {.started = begin, .seconds = 60}));
    EXPECT_TRUE(run.write_exit_status(launch.number, 0));
    clock.now += 60;
    clock.wall_offset += jump;
  }
  EngineEnd carry_out(store::Writer& writer) {
    State state;
    state.policy = policy;
    std::vector<Tracked> tracked;
    const std::vector<store::RunRow> rows = writer.runs(std::nullopt).value();
    for (const store::RunRow& row : rows) {
      NodeAndTracked both = restore(writer, real_files(), clock, row, true).value();
      both.node.flops_left = row.flops;
      state.nodes.push_back(both.node);
      tracked.push_back(both.tracked);
    }
    Engine engine(writer, executor, real_files(), clock, silent, nullptr, {});
    return engine.run(std::move(state), std::move(tracked)).value();
  }
  // Seconds that a scheduler that begins now lets the run wait.
  double wait_of(const store::Writer& writer) {
    const store::RunRow row = writer.runs(std::nullopt).value().at(0);
    const double until = restore(writer, real_files(), clock, row, true).value().node.not_before;
    return until > 0 ? until - clock.now : 0;
  }

  Obedient executor{clock};
  Silent silent;
  Policy policy;
};

TEST_F(WallClock, ARestartWaitsNoLongerThanTheRunWasTold) {
  store::Writer writer = open_writer();
  const std::int64_t run = add_sweep(writer, {test::small_spec()}).at(0);
  clock.wall_offset = kDay;  // for a moment
  const std::int64_t attempt = writer.begin_attempt(run, 1, store::kToken).value();
  const store::RunUpdate update{
      .state = RunState::ready, .reason = "again", .not_before = clock.unix_seconds() + 4};
  ASSERT_TRUE(writer.end_attempt(attempt,
                                 {.failure = FailureClass::killed, .ended = clock.unix_seconds()},
                                 update,
                                 std::nullopt));

  clock.wall_offset = 0;
  EXPECT_NEAR(wait_of(writer), 4, 1e-6) << "by what the store says alone";

  ASSERT_TRUE(real_files().make_folders(run_folder(test::small_spec()).attempt_path(1)));
  ASSERT_TRUE(write_verdict(real_files(),
                            run_folder(test::small_spec()).attempt_path(1),
                            {.token = store::kToken,
                             .ended = clock.unix_seconds() + kDay,
                             .update = {.state = RunState::ready,
                                        .reason = "again",
                                        .not_before = clock.unix_seconds() + kDay + 3}}));
  EXPECT_NEAR(wait_of(writer), 3, 1e-6) << "and by what was judged at one moment";

  clock.wall_offset = 2 * kDay;
  EXPECT_EQ(wait_of(writer), 0);
}

TEST_F(WallClock, AnAttemptLastedAsLongAsItsSupervisorMeasured) {
  std::int64_t seed = 0;
  for (const double jump : {-kDay, 0.0, kDay}) {
    store::Writer writer = open_writer();
    const run::RunSpec spec = test::small_spec(8, seed++);
    const std::int64_t run = add_sweep(writer, {spec}, fmt::format("sweep{}", seed)).back();
    executor.work = [&](run::RunFolder& own, const Launch& launch) {
      works_for_a_minute(own, launch, jump);
    };

    carry_out(writer);

    const store::AttemptRow attempt = writer.attempts(run).value().at(0);
    EXPECT_NEAR(attempt.ended - attempt.submitted, 60, 1) << jump;
    const double used = writer.usage_of_attempt(attempt.id).value().seconds;
    // After a jump back only points from before it, here at 30 s, lie within the attempt.
    EXPECT_NEAR(used, jump < 0 ? 30 : 60, 1) << jump;
  }
}

TEST_F(WallClock, AJumpUsesUpNoHours) {
  store::Writer writer = open_writer();
  std::vector<run::RunSpec> specs;
  for (int seed = 0; seed < 5; ++seed) specs.push_back(test::small_spec(8, seed));
  add_sweep(writer, specs);
  executor.work = [&](run::RunFolder& own, const Launch& launch) {
    works_for_a_minute(own, launch, kDay);
  };
  policy.caps.hours = 1;

  const EngineEnd end = carry_out(writer);

  EXPECT_EQ(end.launched, 5);
  EXPECT_EQ(end.state.cause, StopCause::none);
  EXPECT_NEAR(end.state.used.seconds, 5 * 60, 1);
}

TEST_F(WallClock, AnAttemptTimeThatCannotBeUsedIsNone) {
  const Path file = folder / "time.json";
  for (const char* text : {"",
                           "[]",
                           "{}",
                           R"({"schema":"ration.time/1","started":1})",
                           R"({"schema":"ration.time/1","started":1,"seconds":-1})",
                           R"({"schema":"ration.time/2","started":1,"seconds":1})"}) {
    ASSERT_TRUE(real_files().write_whole(file, text));
    EXPECT_FALSE(read_attempt_time(real_files(), folder.path())) << text;
  }
  ASSERT_TRUE(write_attempt_time(real_files(), folder.path(), {.started = 5, .seconds = 2.5}));
  EXPECT_EQ(read_attempt_time(real_files(), folder.path()).value().ended(), 7.5);
}

TEST_F(WallClock, ARequestIsHeardAfterTheirLogWasEmptied) {
  store::Writer writer = open_writer();
  add_sweep(writer, {test::small_spec()});
  const Path log = writer.layout().requests();
  const std::string id = run::run_id(test::small_spec());
  const std::string before(500, '\n');  // of requests that were answered long ago
  ASSERT_TRUE(real_files().write_whole(log, before));
  int looks = 0;
  executor.while_waiting = [&] {
    if (++looks == 2) {
      ASSERT_TRUE(real_files().write_whole(log, "cancel " + id + "\n"));
    }
    ASSERT_LT(looks, 1000) << "it was not heard";
  };

  carry_out(writer);

  EXPECT_EQ(writer.find_run(id).value().state, RunState::cancelled);
}

}  // namespace
}  // namespace ration::scheduler
