// What a second command knows of the first, and what time may do meanwhile.

#include "engine_fixture.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace ration::scheduler
