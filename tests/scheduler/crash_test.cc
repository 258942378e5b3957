// Operations on files of a scheduler that carries out a sweep, and of a rebuild, and each
// misfortune at them: the same command again ends the sweep, and no run is finished twice.

#include "engine_fixture.h"
#include "store/crash_fixture.h"

namespace ration::scheduler {
namespace {

using testing::AnyOf;

class SchedulerCrash : public EngineTest {
 protected:
  SchedulerCrash() {
    store::put_sqlite_under(disaster);
    files = store::files_under(disaster);
    disaster.while_stalled = [this] { clock.now += 60; };
    // The first attempt of each run is killed.
    executor.everyone = [](run::RunFolder& run, const Launch& launch) {
      return launch.number == 1 ? exits(137)(run, launch) : succeeds()(run, launch);
    };
  }
  ~SchedulerCrash() override { disaster.arm(store::Misfortune::none, 0); }

  void clear() {
    std::filesystem::remove_all(folder.path());
    std::filesystem::create_directories(folder.path());
  }
  // What `ration run` does, from wherever an earlier call stopped.
  Result<void> carry_out() {
    Result<store::Writer> writer = store::Writer::open(*files, clock, folder.path());
    if (!writer) return std::move(writer).error();
    store::SweepRecord sweep{.name = "tiny", .file = "/tiny.toml", .source = "# tiny\n"};
    for (const run::RunSpec& spec : specs(2))
      sweep.members.push_back(
          store::member_of(spec, static_cast<std::int64_t>(sweep.members.size())));
    if (Result<store::SweepRow> row = writer->register_sweep(sweep); !row)
      return std::move(row).error();
    Result<std::vector<RunRow>> rows = writer->runs(std::nullopt);
    if (!rows) return std::move(rows).error();
    State state;
    state.policy = policy;
    std::vector<Tracked> tracked;
    for (const RunRow& row : *rows) {
      Result<NodeAndTracked> both = restore(*writer, *files, clock, row, true);
      if (!both) return std::move(both).error();
      state.nodes.push_back(both->node);
      tracked.push_back(both->tracked);
    }
    if (Result<void> done = connect(state, {}); !done) return done;
    Engine engine(*writer, executor, *files, clock, notes, nullptr, options);
    Result<EngineEnd> end = engine.run(std::move(state), std::move(tracked));
    return end ? Result<void>() : std::move(end).error();
  }
  int operations_of(const std::function<Result<void>()>& command) {
    disaster.arm(store::Misfortune::none, 0);
    const Result<void> done = command();
    EXPECT_TRUE(done) << done.error().describe();
    return disaster.count();
  }

  int finished_attempts(const run::RunSpec& spec) {
    const run::RunFolder run = run_folder(spec);
    int finished = 0;
    const std::vector<int> numbers = run.attempts().value();
    for (const int number : numbers)
      finished += real_files().read(run.exit_path(number)).value_or("") == "0\n" ? 1 : 0;
    return finished;
  }
  void expect_sound() {
    if (!real_files().exists(store::Layout{folder.path()}.database())) return;
    EXPECT_THAT(open_reader().check().value(), testing::IsEmpty());
  }

  void enumerate(int stride) {
    clear();
    const int operations = operations_of([&] { return carry_out(); });
    ASSERT_GT(operations, 50);
    store::for_each_point(operations, stride, [&](const store::Mode& mode, int at) {
      clear();
      disaster.arm(mode.kind, at, mode.error);
      const int status = store::in_a_process([&] { return carry_out(); });
      disaster.arm(store::Misfortune::none, 0);
      EXPECT_THAT(status, AnyOf(0, 3, store::Disaster::kExit));
      expect_sound();

      const Result<void> repeated = carry_out();

      ASSERT_TRUE(repeated) << repeated.error().describe();
      expect_sound();
      const std::vector<RunRow> all = open_reader().runs(std::nullopt).value();
      for (const RunRow& row : all)
        EXPECT_EQ(row.state, RunState::done) << row.run << ": " << row.reason;
      for (const run::RunSpec& spec : specs(2)) EXPECT_EQ(finished_attempts(spec), 1);
    });
  }

  Result<void> rebuild() {
    Result<RebuildSummary> summary = rebuild_store(folder.path(), *files, clock);
    return summary ? Result<void>() : std::move(summary).error();
  }
  void enumerate_rebuilds(int stride) {
    clear();
    ASSERT_TRUE(carry_out());
    const std::string expected = open_reader().dump().value();
    const Path kept = folder.path().string() + "-kept";
    store::copy_folder(folder.path(), kept);
    const int operations = operations_of([&] { return rebuild(); });
    ASSERT_GT(operations, 20);
    store::for_each_point(operations, stride, [&](const store::Mode& mode, int at) {
      store::copy_folder(kept, folder.path());
      disaster.arm(mode.kind, at, mode.error);
      store::in_a_process([&] { return rebuild(); });
      disaster.arm(store::Misfortune::none, 0);
      EXPECT_EQ(open_reader().dump().value(), expected) << "the old database, or the new one";
      expect_sound();

      const Result<void> repeated = rebuild();

      ASSERT_TRUE(repeated) << repeated.error().describe();
      EXPECT_EQ(open_reader().dump().value(), expected);
    });
    std::filesystem::remove_all(kept);
  }

  store::Disaster disaster;
  std::unique_ptr<Files> files;
};

TEST_F(SchedulerCrash, ASampleOfOperationsFinishesNoRunTwice) { enumerate(197); }
TEST_F(SchedulerCrash, ASampleOfARebuildLeavesTheOldDatabaseOrTheNewOne) { enumerate_rebuilds(89); }

// Many more: slow.
class WholeSchedulerCrash : public SchedulerCrash {};

TEST_F(WholeSchedulerCrash, NoOperationFinishesARunTwice) { enumerate(11); }
TEST_F(WholeSchedulerCrash, NoOperationOfARebuildLosesTheDatabase) { enumerate_rebuilds(7); }

}  // namespace
}  // namespace ration::scheduler
