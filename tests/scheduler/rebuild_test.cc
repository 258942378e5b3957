// The database made again from the folders: what it must tell as before, and what must not stop it.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"
#include "scheduler/slurm/batch.h"
#include "scheduler/supervisor.h"
#include "scheduler/verdict_file.h"
#include "store/store_fixture.h"

namespace ration::scheduler {
namespace {

using store::AttemptState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RebuildTest : public store::StoreTest {
 protected:
  // A sweep of so many runs, none of them started.
  void register_runs(std::int64_t count) {
    for (std::int64_t seed = 0; seed < count; ++seed) specs.push_back(test::small_spec(8, seed));
    store::Writer writer = open_writer();
    add_sweep(writer, specs);
  }
  // An attempt as its supervisor leaves it when the worker has ended.
  run::RunFolder attempt_of(std::size_t index, int status) {
    run::RunFolder run = run_folder(specs[index]);
    EXPECT_TRUE(run.create(specs[index], {.data = "/data"}));
    const int number = run.claim_attempt().value().value();
    const Json nobody = {{"boot", ""}, {"pid", 0}, {"start", 0}};
    write(run.attempt_path(number) / "supervisor.json",
          Json{{"schema", "ration.supervisor/1"},
               {"token", index == 0 ? store::kToken : store::kOtherToken},
               {"host", "here"},
               {"started", 1.0},
               {"supervisor", nobody},
               {"worker", nobody}}
              .dump());
    EXPECT_TRUE(run.write_exit_status(number, status));
    return run;
  }
  static void write(const Path& path, const std::string& text) {
    ASSERT_TRUE(real_files().write_whole(path, text));
  }
  RebuildSummary rebuild() { return rebuild_store(folder.path(), real_files(), clock).value(); }
  std::vector<store::RunRow> rows() { return open_reader().runs(std::nullopt).value(); }

  std::vector<run::RunSpec> specs;
};

TEST_F(RebuildTest, IsStoppedByNoFileOfOneRun) {
  register_runs(3);
  const run::RunFolder bad_result = attempt_of(0, 0);
  write(bad_result.result_path(), "[1,2,3]");
  const run::RunFolder bad_exit = attempt_of(1, 1);
  write(bad_exit.exit_path(1), "garbage\n");

  const RebuildSummary summary = rebuild();

  EXPECT_EQ(summary.runs, 3);
  EXPECT_EQ(summary.attempts, 2);
  EXPECT_THAT(summary.notes,
              ElementsAre(HasSubstr("result.json.damaged"), HasSubstr("exit.damaged")));
  for (const store::RunRow& row : rows()) EXPECT_EQ(row.state, RunState::ready);
}

TEST_F(RebuildTest, TakesStrayNamesForNothing) {
  register_runs(1);
  write(open_reader().layout().runs() / ".DS_Store", "x");
  ASSERT_TRUE(real_files().make_folders(open_reader().layout().runs() / "lost+found"));

  EXPECT_THAT(rebuild().problems, IsEmpty());
}

TEST_F(RebuildTest, NamesAFileInThePlaceOfARunFolderAndGoesOn) {
  register_runs(2);
  write(run_folder(specs[0]).path(), "x");
  attempt_of(1, 137);

  const RebuildSummary summary = rebuild();

  EXPECT_THAT(summary.problems, ElementsAre(HasSubstr(run::run_id(specs[0]))));
  EXPECT_EQ(summary.attempts, 1);
}

TEST_F(RebuildTest, IsNotStoppedByACopyOfAnAttempt) {
  register_runs(1);
  const run::RunFolder run = attempt_of(0, 137);
  std::filesystem::copy(
      run.attempt_path(1), run.attempt_path(2), std::filesystem::copy_options::recursive);

  EXPECT_EQ(rebuild().attempts, 2);
}

TEST_F(RebuildTest, KeepsTheDatabaseThatItReplaces) {
  register_runs(1);
  EXPECT_TRUE(rebuild().replaced);
  EXPECT_TRUE(real_files().exists(folder / "ration.db.before-rebuild"));
}

TEST_F(RebuildTest, IsWhatACheckAsksForWhereResultsWereRemoved) {
  register_runs(2);
  const run::RunFolder done = attempt_of(0, 0);
  write(done.result_path(), test::result_of(specs[0], 1, 2.5).dump());
  attempt_of(1, 2);
  rebuild();
  ASSERT_EQ(rows().at(0).state, RunState::done);
  ASSERT_EQ(rows().at(1).state, RunState::invalid);
  EXPECT_THAT(check_folders(open_reader(), real_files()).value(), IsEmpty());

  std::filesystem::remove(done.result_path());
  std::filesystem::remove_all(run_folder(specs[1]).path());

  EXPECT_THAT(check_folders(open_reader(), real_files()).value(),
              ElementsAre(HasSubstr(run::run_id(specs[0])), HasSubstr(run::run_id(specs[1]))));
  rebuild();
  EXPECT_THAT(check_folders(open_reader(), real_files()).value(), IsEmpty());
}

// Attempts of a cluster's jobs as a scheduler leaves them that is gone.
class RebuildOfJobs : public RebuildTest {
 protected:
  void submit(std::size_t index, int number, const std::string& token) {
    slurm::Batch batch{.token = std::string(32, static_cast<char>('a' + batches_++))};
    batch.folder = slurm::batches_of(folder.path()) / batch.token;
    batch.tasks.push_back(
        {.run_folder = run_folder(specs[index]).path(), .number = number, .token = token});
    ASSERT_TRUE(slurm::write_batch(real_files(), batch, {}, {}));
  }
  store::AttemptRow only_attempt(std::size_t index) {
    const auto attempts = open_reader().attempts(rows().at(index).id).value();
    EXPECT_THAT(attempts, SizeIs(1));
    return attempts.at(0);
  }

 private:
  int batches_ = 0;
};

TEST_F(RebuildOfJobs, KeepsAttemptsThatWaitInTheQueue) {
  register_runs(2);
  submit(1, 1, store::kOtherToken);

  rebuild();

  EXPECT_EQ(rows().at(0).state, RunState::ready);
  EXPECT_EQ(rows().at(1).state, RunState::active);
  EXPECT_EQ(only_attempt(1).token, store::kOtherToken);
  EXPECT_FALSE(store::ended(only_attempt(1).state));
}

TEST_F(RebuildOfJobs, TakesAnAttemptThatRunsOnAnotherMachineForAlive) {
  register_runs(2);
  const run::RunFolder begun = attempt_of(1, 0);
  std::filesystem::remove(begun.exit_path(1));
  submit(1, 1, store::kOtherToken);

  rebuild();

  EXPECT_EQ(rows().at(1).state, RunState::active);
  EXPECT_EQ(only_attempt(1).token, store::kOtherToken);
}

TEST_F(RebuildOfJobs, KnowsThoseThatAreOver) {
  register_runs(2);
  attempt_of(1, 137);
  submit(1, 1, store::kOtherToken);
  ASSERT_TRUE(bury_attempt(real_files(), run_folder(specs[0]).attempt_path(1)));
  submit(0, 1, store::kToken);

  rebuild();

  EXPECT_EQ(rows().at(0).state, RunState::ready);
  EXPECT_EQ(rows().at(1).state, RunState::ready);
  EXPECT_EQ(only_attempt(1).failure, FailureClass::killed);
}

TEST_F(RebuildOfJobs, NamesADamagedTableAndGoesOn) {
  register_runs(2);
  submit(0, 1, store::kToken);
  submit(1, 1, store::kOtherToken);
  write(slurm::batches_of(folder.path()) / std::string(32, 'a') / "tasks.jsonl", "garbage");

  EXPECT_THAT(rebuild().problems, ElementsAre(HasSubstr("tasks.jsonl")));
  EXPECT_EQ(rows().at(1).state, RunState::active);
}

// Policies are of commands, so the files tell what came of them.
TEST_F(RebuildTest, ComesToTheVerdictsThatWereGiven) {
  register_runs(2);
  const run::RunFolder given_up = attempt_of(0, 137);
  ASSERT_TRUE(
      write_verdict(real_files(),
                    given_up.attempt_path(1),
                    {.token = store::kToken,
                     .ended = 31,
                     .update = {.state = RunState::failed, .reason = "killed, no retries"}}));
  const run::RunFolder tried_on = attempt_of(1, 2);
  ASSERT_TRUE(write_verdict(real_files(),
                            tried_on.attempt_path(1),
                            {.token = store::kOtherToken,
                             .ended = 31,
                             .update = {.state = RunState::ready, .reason = "once more"}}));

  rebuild();

  EXPECT_EQ(rows().at(0).state, RunState::failed);
  EXPECT_EQ(rows().at(0).reason, "killed, no retries");
  EXPECT_EQ(rows().at(0).started, 1);
  EXPECT_EQ(rows().at(1).state, RunState::ready) << "exit 2 alone would mean invalid";
  EXPECT_EQ(open_reader().attempts(rows().at(0).id).value().at(0).ended, 31);
  const auto events = open_reader().events(rows().at(0).id).value();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].detail, "killed, no retries");
  EXPECT_EQ(events[0].attempt, 1);
}

TEST_F(RebuildTest, ARetryGoesBeforeAnOlderVerdict) {
  register_runs(1);
  const run::RunFolder run = attempt_of(0, 137);
  ASSERT_TRUE(write_verdict(real_files(),
                            run.attempt_path(1),
                            {.token = store::kToken, .update = {.state = RunState::failed}}));
  ASSERT_TRUE(mark_retry(real_files(), run, 40));

  rebuild();

  EXPECT_EQ(rows().at(0).state, RunState::ready);
}

TEST_F(RebuildTest, AVerdictOnAnotherAttemptOfTheNumberIsNotTaken) {
  register_runs(1);
  const run::RunFolder run = attempt_of(0, 137);
  ASSERT_TRUE(write_verdict(real_files(),
                            run.attempt_path(1),
                            {.token = store::kOtherToken, .update = {.state = RunState::failed}}));

  rebuild();

  EXPECT_EQ(rows().at(0).state, RunState::ready);
}

// The note is damaged; the log tells the token, and the worker lives with it on its command line.
TEST_F(RebuildTest, FindsALivingWorkerByTheTokenInItsLog) {
  register_runs(1);
  const run::RunFolder run = attempt_of(0, 0);
  std::filesystem::remove(run.exit_path(1));
  write(run.attempt_path(1) / "supervisor.json", "garbage");
  test::append_events(run, 1, {test::start_event(store::kToken)});
  std::array<int, 2> started{};
  ASSERT_EQ(pipe2(started.data(), O_CLOEXEC), 0);
  const pid_t worker = fork();
  if (worker == 0) {
    setpgid(0, 0);  // to be ended with its own child
    execlp("sh", "sh", "-c", "sleep 60; :", store::kToken, nullptr);
  }
  close(started[1]);
  char none = 0;
  ASSERT_EQ(read(started[0], &none, 1), 0) << "ends when the program has taken the process over";
  close(started[0]);

  rebuild();
  kill(-worker, SIGKILL);
  waitpid(worker, nullptr, 0);

  EXPECT_EQ(rows().at(0).state, RunState::active);
  EXPECT_EQ(open_reader().attempts(rows().at(0).id).value().at(0).token, store::kToken);
}

TEST_F(RebuildTest, FindsEvaluationsAndLeavesOutWhatIsNone) {
  register_runs(1);
  const Json result = {{"score", "avg"},
                       {"skip_first", false},
                       {"part", "pooled"},
                       {"name", ""},
                       {"corpus", ""},
                       {"prompt", 0},
                       {"n", 4},
                       {"accuracy", 0.5},
                       {"low", 0.2},
                       {"high", 0.8}};
  const Json document = {
      {"schema", "ration.eval/1"},
      {"checkpoint", {{"sha256", "c"}, {"run", run::run_id(specs[0])}, {"step", 1}}},
      {"task", {{"name", "pairs"}, {"digest", "d"}}},
      {"results", {result}}};
  {
    auto evals = store::EvalWriter::open(real_files(), clock, folder.path()).value();
    const Result<std::string> recorded = evals.record(
        {.document = document,
         .tokens = "{\"schema\":\"ration.eval_tokens/1\"}\n"
                   R"({"item":0,"prompt":0,"choice":0,"consistent":true,"bytes":2,"tokens":[3],)"
                   R"("logp":[-1.5],"logp_without":[-2]})"
                   "\n"});
    ASSERT_TRUE(recorded) << recorded.error().describe();
  }
  const std::string before = open_reader().dump().value();
  const Path none = store::Layout{folder.path()}.evals() / "none";
  ASSERT_TRUE(real_files().make_folders(none));
  write(none / "scores.json", R"({"schema":"ration.eval_record/1","created":1,"document":[]})");

  const RebuildSummary summary = rebuild();

  EXPECT_EQ(summary.evals, 1);
  EXPECT_THAT(summary.problems, ElementsAre(HasSubstr("none")));
  EXPECT_EQ(open_reader().dump().value(), before);
  EXPECT_THAT(open_reader().evals_of(run::run_id(specs[0])).value(), SizeIs(1));
}

}  // namespace
}  // namespace ration::scheduler
