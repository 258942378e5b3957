// Runs that wait for the checkpoint of another.

#include "engine_fixture.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(EngineTest, SkipsABranchWhoseTrunkKeptNoCheckpoint) {
  store::Writer writer = open_writer();
  add_sweep(writer, trunk_and_branch());
  executor.everyone = succeeds();

  run(writer);

  EXPECT_THAT(states(writer), ElementsAre(RunState::done, RunState::skipped));
  EXPECT_THAT(rows(writer)[1].reason, HasSubstr("kept no checkpoint of step 4"));
}

}  // namespace
}  // namespace ration::scheduler
