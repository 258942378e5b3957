// Runs that need the weights of others.

#include "scheduler/parents.h"

#include "engine_fixture.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string id(char digit) { return std::string(32, digit); }

run::Weights weights(char digit, std::int64_t step = 0) {
  return {.run = id(digit), .step = step, .sha256 = {}};
}

PlannedRun planned(char digit, std::vector<run::Weights> needs = {}) {
  PlannedRun run;
  run.id = id(digit);
  run.needs = std::move(needs);
  return run;
}

TEST(Parents, AreTheTrunkAndAllWhoseWeightsAreNeededEachOnce) {
  PlannedRun branch = planned('1');
  branch.spec.branch_from = id('2');

  EXPECT_THAT(parents_of(branch), ElementsAre(id('2')));
  EXPECT_THAT(parents_of(planned('1', {weights('3'), weights('2', 8), weights('2')})),
              UnorderedElementsAre(id('2'), id('3')));
  EXPECT_THAT(parents_of(planned('1')), IsEmpty());
}

TEST(Parents, KeepTheCheckpointsThatOtherSweepsName) {
  Expansion first, second;
  first.runs = {planned('1'), planned('2')};
  first.runs[0].execution.keep_steps = "5";
  second.runs = {planned('3', {weights('1', 40)}), planned('4', {weights('1', 8), weights('2')})};
  const std::vector<Expansion*> sweeps = {&first, &second};

  keep_for_children(runs_by_id(sweeps));

  EXPECT_EQ(first.runs[0].execution.keep_steps, "5,8,40");
  EXPECT_EQ(first.runs[1].execution.keep_steps, "");
  EXPECT_TRUE(first.runs[0].needed);
  EXPECT_TRUE(first.runs[1].needed);
  EXPECT_FALSE(second.runs[0].needed);
}

class ParentsInStore : public EngineTest {
 protected:
  std::size_t node_of(const std::string& run) const {
    const auto found = nodes.find(run);
    return found == nodes.end() ? kNobody : found->second;
  }
  Result<std::optional<Gate>> gate(const PlannedRun& run, const store::Reader& reader) {
    return gate_of(
        run, [this](const std::string& each) { return node_of(each); }, reader);
  }
  PlannedRun needs(const run::RunSpec& parent, std::int64_t step = 0) {
    return planned('f', {{.run = run::run_id(parent), .step = step, .sha256 = {}}});
  }

  std::map<std::string, std::size_t> nodes;
};

TEST_F(ParentsInStore, OfThisCommandAreWaitedFor) {
  store::Writer writer = open_writer();
  nodes = {{id('1'), 0}, {id('2'), 1}};

  const Gate found =
      gate(planned('3', {weights('1'), weights('1', 9), weights('2', 4), weights('2', 8)}), writer)
          .value()
          .value();

  ASSERT_THAT(found.parents, testing::SizeIs(2));
  EXPECT_EQ(found.parents[0].wants, Wants::result) << "a finished run has kept its steps";
  EXPECT_EQ(found.parents[1].wants, Wants::checkpoint);
  EXPECT_EQ(found.parents[1].step, 8) << "earlier ones are there by then";
  EXPECT_THAT(describe(found), HasSubstr("run 111111111111"));
  EXPECT_THAT(describe(found), HasSubstr("step 8 of run 222222222222"));
}

TEST_F(ParentsInStore, ThatAreDoneNeedNoGateAndOthersShutIt) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(2);
  const std::vector<std::int64_t> rows = add_sweep(writer, all);
  finish(writer, rows[0], all[0], 3.0);

  EXPECT_FALSE(gate(needs(all[0]), writer).value());
  const Gate shut = gate(needs(all[1]), writer).value().value();
  ASSERT_THAT(shut.parents, testing::SizeIs(1));
  EXPECT_EQ(shut.parents[0].arrival, Arrival::absent);
  EXPECT_EQ(look_at(shut, 0, 0).state, GateView::State::shut);
  EXPECT_THAT(look_at(shut, 0, 0).why, HasSubstr("whose weights it needs, is ready"));
}

TEST_F(ParentsInStore, AreMissedBeforeAnythingStarts) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(2);
  const std::vector<std::int64_t> rows = add_sweep(writer, all);
  finish(writer, rows[0], all[0], 3.0);
  const PlannedRun on_done = needs(all[0]), on_ready = needs(all[1]);
  const PlannedRun on_unknown = planned('e', {weights('9')});
  const auto check = [&](const PlannedRun& run, const store::Reader* reader) {
    const std::vector<const PlannedRun*> runs = {&run};
    return check_parents_outside(runs, {}, reader);
  };

  EXPECT_TRUE(check(on_done, &writer));
  EXPECT_THAT(check(on_ready, &writer).error().what, HasSubstr("which is ready"));
  EXPECT_THAT(check(on_unknown, &writer).error().what,
              HasSubstr("run eeeeeeeeeeee needs the weights of run 999999999999, which is not in"));
  EXPECT_THAT(check(on_done, nullptr).error().what, HasSubstr("not in this store"));
  EXPECT_EQ(check(on_unknown, &writer).error().kind, ErrorKind::input);
}

TEST_F(ParentsInStore, OfAnotherModelAreRefusedBeforeAnythingStarts) {
  store::Writer writer = open_writer();
  const std::vector<run::RunSpec> all = specs(1);
  add_sweep(writer, all);
  PlannedRun same = needs(all[0]), wider = needs(all[0]);
  same.spec = wider.spec = all[0];
  wider.spec.width *= 2;
  wider.spec.layers += 1;
  const auto check = [&](const PlannedRun& run) {
    const std::vector<const PlannedRun*> runs = {&run};
    return check_parents_models(runs, {}, &writer);
  };

  EXPECT_TRUE(check(same));
  ASSERT_FALSE(check(wider));
  EXPECT_EQ(check(wider).error().kind, ErrorKind::usage);
  EXPECT_THAT(check(wider).error().describe(), HasSubstr("whose model is another: layers ("));
  EXPECT_THAT(check(wider).error().describe(), HasSubstr("width ("));
}

// A run, and one that begins with what it came to.
TEST_F(EngineTest, ARunBeginsWhenTheOneWhoseWeightsItNeedsIsDone) {
  store::Writer writer = open_writer();
  std::vector<run::RunSpec> both = specs(2);
  both[1].init = "run:" + run::run_id(both[0]);
  add_sweep(writer, both);
  policy.slots = 2;
  executor.workers = {goes_on(), succeeds(2.5)};
  std::string reason;
  int looks = 0;
  executor.while_waiting = [&] {
    if (++looks == 3) reason = rows(writer)[1].reason;
    if (looks != 5) return;
    EXPECT_EQ(executor.launches.size(), 1);
    run::RunFolder parent = run_folder(both[0]);
    succeeds(3.0)(parent, executor.launches[0]);
    executor.ended.push_back(executor.launches[0].attempt);
  };

  run(writer);

  EXPECT_EQ(reason, "waits for run " + run::run_id(both[0]).substr(0, 12));
  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::done));
}

TEST_F(EngineTest, ARunIsSkippedWhenTheOneWhoseWeightsItNeedsFails) {
  store::Writer writer = open_writer();
  std::vector<run::RunSpec> both = specs(2);
  both[1].init = "run:" + run::run_id(both[0]);
  add_sweep(writer, both);
  executor.everyone = exits(2);

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::invalid, RunState::skipped));
  EXPECT_THAT(rows(writer)[1].reason, HasSubstr("is invalid"));
}

// Evaluates a list of points: no losses of its own.
TEST_F(EngineTest, ARunOfPointsIsDoneWithoutALoss) {
  store::Writer writer = open_writer();
  std::vector<run::RunSpec> one = specs(1);
  one[0].tokens = 0;
  one[0].points = "sha256:" + std::string(64, 'a');
  add_sweep(writer, one);
  executor.everyone = [&](run::RunFolder& left, const Launch& launch) {
    claim(left, launch);
    Json result = test::result_of(one[0], launch.number, 0);
    for (const char* loss : {"final_loss", "best_loss", "best_step"}) result[loss] = nullptr;
    result["steps"] = 0;
    result["points"] = "attempt-1/points.jsonl";
    EXPECT_TRUE(left.publish_result(result).value());
    EXPECT_TRUE(left.write_exit_status(launch.number, 0));
    return true;
  };

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done));
  EXPECT_TRUE(std::isnan(rows(writer)[0].final_loss));
  EXPECT_THAT(writer.check().value(), IsEmpty());
  EXPECT_THAT(writer.observations({}).value(), IsEmpty());
  EXPECT_EQ(notes.last.fraction, 1);
}

}  // namespace
}  // namespace ration::scheduler
