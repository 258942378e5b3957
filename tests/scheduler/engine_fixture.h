#pragma once

// A store whose runs the engine carries out, with workers that are told what to leave behind and a
// clock that is told the time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>

#include "run/settings_file.h"
#include "scheduler/early_stop.h"
#include "scheduler/engine.h"
#include "scheduler/graph.h"
#include "scheduler/history.h"
#include "scheduler/parents.h"
#include "scheduler/scheduler.h"
#include "scheduler/verdict_file.h"
#include "store/store_fixture.h"

namespace ration::scheduler {

using store::RunRow;
using store::StillClock;

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
      both.node.flops_left = row.flops;
      state.nodes.push_back(both.node);
      tracked.push_back(both.tracked);
    }
    const auto node_of = [&](const std::string& id) {
      const auto node = std::ranges::find(tracked, id, &Tracked::id);
      return node == tracked.end() ? kNobody : static_cast<std::size_t>(node - tracked.begin());
    };
    for (const PlannedRun& planned : all_runs(writer).runs)
      if (std::optional<Gate> gate = gate_of(planned, node_of, writer).value())
        gates[node_of(planned.id)] = std::move(*gate);
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
      if (const auto init = run::parse_weights(planned.spec.init); init && !init->run.empty())
        planned.needs = {*init};
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

}  // namespace ration::scheduler
