// What became of an attempt, told from the files that it left.

#include "scheduler/outcome.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/memory_limit.h"
#include "scheduler/slurm/ending.h"
#include "scheduler/supervisor.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::scheduler {
namespace {

using store::AttemptState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum FailureClass;

constexpr const char* kToken = "00112233445566778899aabbccddeeff";
constexpr const char* kOtherToken = "ffeeddccbbaa99887766554433221100";

class OutcomeOf : public testing::Test {
 protected:
  OutcomeOf() { EXPECT_TRUE(run_.create(spec_, {.data = "/data"})); }

  // A folder as its supervisor claims it.
  int claim(const std::string& token = kToken) {
    const int attempt = run_.claim_attempt().value().value();
    const Json nobody = {{"boot", ""}, {"pid", 0}, {"start", 0}};
    write(run_.attempt_path(attempt) / "supervisor.json",
          Json{{"schema", "ration.supervisor/1"},
               {"token", token},
               {"host", "here"},
               {"started", 1.0},
               {"supervisor", nobody},
               {"worker", nobody}}
              .dump());
    return attempt;
  }
  void exits(int attempt, int status) { ASSERT_TRUE(run_.write_exit_status(attempt, status)); }
  void publishes(int attempt, const char* status = "done") {
    Json result = test::result_of(spec_, attempt, 3.0);
    result["status"] = status;
    write(run_.result_path(), result.dump());
  }
  static void write(const Path& path, const std::string& text) {
    ASSERT_TRUE(real_files().write_whole(path, text));
  }
  void stops(int attempt, const char* reason) {
    run::Event event = test::train_event(4, 3.0);
    event.type = run::EventType::stop;
    event.values = Json{{"reason", reason}};
    test::append_events(run_, attempt, {test::start_event(kToken), event});
  }
  Outcome outcome(int attempt) { return outcome_of(real_files(), run_, attempt, kToken); }

  test::TemporaryFolder folder_;
  run::RunSpec spec_ = test::small_spec();
  run::RunFolder run_{real_files(), folder_ / run::run_id(spec_)};
};

TEST_F(OutcomeOf, AnAttemptWithAResultIsSuccess) {
  const int attempt = claim();
  publishes(attempt);
  exits(attempt, 0);

  const Outcome got = outcome(attempt);

  EXPECT_EQ(got.state, AttemptState::succeeded);
  EXPECT_EQ(got.ending.failure, none);
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_EQ((*got.result)["final_loss"], 3.0);
}

TEST_F(OutcomeOf, AResultCountsWhateverTheWorkerSaidAfterwards) {
  const int attempt = claim();
  publishes(attempt);
  exits(attempt, 128 + 9);

  EXPECT_EQ(outcome(attempt).state, AttemptState::succeeded);
}

TEST_F(OutcomeOf, ADivergedResultIsAResult) {
  const int attempt = claim();
  publishes(attempt, "diverged");
  exits(attempt, 4);

  EXPECT_EQ(outcome(attempt).ending.failure, diverged);
  EXPECT_EQ(state_of_result(*outcome(attempt).result), RunState::diverged);
}

TEST_F(OutcomeOf, TheResultOfAnotherAttemptEndsTheRunButNotThisAttempt) {
  const int early = claim();
  const int late = claim();
  publishes(late);
  exits(early, 6);

  const Outcome got = outcome(early);

  EXPECT_EQ(got.state, AttemptState::failed);
  EXPECT_EQ(got.failure, fenced);
  EXPECT_EQ(got.ending.failure, none);
  EXPECT_TRUE(got.result.has_value());
}

TEST_F(OutcomeOf, EveryExitStatusHasItsClass) {
  const std::vector<std::pair<int, FailureClass>> classes = {{0, bug},
                                                             {1, bug},
                                                             {2, config},
                                                             {3, data},
                                                             {4, diverged},
                                                             {5, out_of_memory},
                                                             {6, fenced},
                                                             {42, bug},
                                                             {75, preempted},
                                                             {76, preempted},
                                                             {127, bug},
                                                             {128 + 9, killed},
                                                             {128 + 11, killed},
                                                             {128 + 15, preempted}};
  for (const auto& [status, failure] : classes) {
    const int attempt = claim();
    exits(attempt, status);

    EXPECT_EQ(outcome(attempt).failure, failure) << status;
    EXPECT_EQ(outcome(attempt).exit_code, status);
    EXPECT_FALSE(outcome(attempt).ending.never_started);
  }
}

TEST_F(OutcomeOf, AnExitFileWithoutANumberIsSetAsideAndCountsAsMissing) {
  const int attempt = claim();
  write(run_.exit_path(attempt), "garbage\n");

  const Outcome got = outcome(attempt);

  EXPECT_EQ(got.failure, killed);
  EXPECT_EQ(got.exit_code, std::nullopt);
  EXPECT_THAT(got.notes, ElementsAre(HasSubstr("exit.damaged")));
  EXPECT_FALSE(real_files().exists(run_.exit_path(attempt)));
  EXPECT_THAT(outcome(attempt).notes, IsEmpty()) << "said once";
}

TEST_F(OutcomeOf, AFileThatIsNoResultOfThisRunIsSetAsideAndCountsAsMissing) {
  const Json good = test::result_of(spec_, 1, 3.0);
  const auto with = [&](const char* key, const Json& value) {
    Json result = good;
    result[key] = value;
    return result.dump();
  };
  Json without_loss = good;
  without_loss.erase("final_loss");
  const std::vector<std::string> texts = {"",
                                          "garbage",
                                          good.dump().substr(0, 20),
                                          "[1,2,3]",
                                          "null",
                                          "{}",
                                          with("schema", "ration.result/2"),
                                          with("id", std::string(32, 'a')),
                                          with("status", 7),
                                          with("status", "fine"),
                                          with("final_loss", "abc"),
                                          with("final_loss", Json()),
                                          with("tokens", "many"),
                                          with("tokens", Json()),
                                          with("best_loss", Json::array()),
                                          without_loss.dump()};
  for (const std::string& text : texts) {
    const int attempt = claim();
    exits(attempt, 0);
    write(run_.result_path(), text);

    const Outcome got = outcome(attempt);

    EXPECT_EQ(got.failure, bug) << text;
    EXPECT_FALSE(got.result) << text;
    EXPECT_THAT(got.notes, ElementsAre(HasSubstr("result.json.damaged"))) << text;
    EXPECT_EQ(real_files().read(run_.path() / "result.json.damaged").value(), text);
    EXPECT_FALSE(real_files().exists(run_.result_path()));
  }
}

TEST_F(OutcomeOf, AResultNeedsOnlyWhatTheStoreTakesFromIt) {
  const int attempt = claim();
  write(run_.result_path(),
        Json{{"schema", "ration.result/1"},
             {"id", run::run_id(spec_)},
             {"status", "diverged"},
             {"attempt", attempt},
             {"best_loss", Json()},
             {"of a foreign trainer", "anything"}}
            .dump());

  EXPECT_TRUE(outcome(attempt).result.has_value());
}

TEST_F(OutcomeOf, AnAttemptThatNobodyClaimedNeverStarted) {
  EXPECT_TRUE(outcome(1).ending.never_started);
  EXPECT_EQ(outcome(1).state, AttemptState::lost);
}

TEST_F(OutcomeOf, AFolderWithoutANoteNeverStarted) {
  const int attempt = run_.claim_attempt().value().value();

  EXPECT_TRUE(outcome(attempt).ending.never_started);
}

TEST_F(OutcomeOf, AFolderOfAnotherTokenMeansThatThisAttemptNeverStarted) {
  const int attempt = claim(kOtherToken);
  exits(attempt, 1);

  EXPECT_TRUE(outcome(attempt).ending.never_started);
  EXPECT_EQ(outcome(attempt).exit_code, std::nullopt);
}

TEST_F(OutcomeOf, ABuriedAttemptNeverStarted) {
  ASSERT_TRUE(bury_attempt(real_files(), run_.attempt_path(1)).value());

  EXPECT_TRUE(buried(real_files(), run_.attempt_path(1)));
  EXPECT_TRUE(outcome(1).ending.never_started);
}

TEST_F(OutcomeOf, AClaimedAttemptCannotBeBuried) {
  const int attempt = claim();

  EXPECT_FALSE(bury_attempt(real_files(), run_.attempt_path(attempt)).value());
  EXPECT_FALSE(buried(real_files(), run_.attempt_path(attempt)));
}

TEST_F(OutcomeOf, TheLogTellsWhatAKilledSupervisorCouldNotWrite) {
  const int preempted_attempt = claim();
  stops(preempted_attempt, "preempted");
  const int silent = claim();
  test::append_events(run_, silent, {test::start_event(kToken), test::train_event(1, 3.0)});

  EXPECT_EQ(outcome(preempted_attempt).failure, preempted);
  EXPECT_EQ(outcome(silent).failure, killed);
  EXPECT_EQ(outcome(silent).exit_code, std::nullopt);
}

TEST_F(OutcomeOf, AFailureWithAFullDiskIsToldApart) {
  const int attempt = claim();
  write(run_.log_path(attempt), "cannot write model.safetensors: No space left on device\n");
  exits(attempt, 1);

  EXPECT_EQ(outcome(attempt).failure, disk);
}

TEST_F(OutcomeOf, TheLastWordsTellWhatAnExitStatusCannot) {
  const std::vector<std::pair<const char*, FailureClass>> words = {
      {"slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch", oom_host},
      {"slurmstepd: error: Step 12.0 exceeded memory limit (9 > 8), being killed", oom_host},
      {"the system ended the worker for want of memory (oom_kill)", oom_host},
      {"CUDA error: uncorrectable ECC error encountered", node_failure},
      {"NVRM: Xid 79, GPU has fallen off the bus.", node_failure},
      {"CUDA error: all CUDA-capable devices are busy or unavailable", node_failure},
      {"open file: Disk quota exceeded", disk},
      {"Segmentation fault", killed}};
  for (const auto& [text, failure] : words) {
    const int attempt = claim();
    write(run_.log_path(attempt), std::string(text) + "\n");
    exits(attempt, 128 + 9);

    EXPECT_EQ(outcome(attempt).failure, failure) << text;
  }
}

TEST_F(OutcomeOf, AnExitStatusWithAMeaningGoesBeforeTheLastWords) {
  const int attempt = claim();
  write(run_.log_path(attempt), "Out of memory: Killed process 7\n");
  exits(attempt, 75);

  EXPECT_EQ(outcome(attempt).failure, preempted);
}

TEST_F(OutcomeOf, AFailedMachineIsNamed) {
  const int attempt = claim();
  write(run_.log_path(attempt), "uncorrectable ECC error\n");
  exits(attempt, 1);

  EXPECT_EQ(outcome(attempt).ending.host, "here");
}

TEST_F(OutcomeOf, AFailureBeforeTheFirstStepIsToldApart) {
  const int early = claim();
  test::append_events(run_, early, {test::start_event(kToken)});
  exits(early, 1);
  const int late = claim();
  test::append_events(run_, late, {test::start_event(kToken), test::train_event(1, 3.0)});
  exits(late, 1);

  EXPECT_TRUE(outcome(early).ending.at_start);
  EXPECT_FALSE(outcome(late).ending.at_start);
}

TEST_F(OutcomeOf, AJobThatItsMachineCouldNotLaunchCountsAgainstTheMachine) {
  ASSERT_TRUE(bury_attempt(real_files(), run_.attempt_path(1)).value());
  ASSERT_TRUE(slurm::write_queue_ending(
      real_files(), run_.attempt_path(1), {.state = "FAILED", .reason = "JobLaunchFailure"}));

  const Outcome got = outcome(1);

  EXPECT_EQ(got.state, AttemptState::failed);
  EXPECT_EQ(got.ending.failure, node_failure);
  EXPECT_FALSE(got.ending.never_started);
}

TEST_F(OutcomeOf, AJobThatWasTakenBackBeforeItBeganCostsNothing) {
  ASSERT_TRUE(bury_attempt(real_files(), run_.attempt_path(1)).value());
  ASSERT_TRUE(
      slurm::write_queue_ending(real_files(), run_.attempt_path(1), {.state = "CANCELLED"}));

  EXPECT_TRUE(outcome(1).ending.never_started);
  EXPECT_EQ(outcome(1).state, AttemptState::lost);
}

// A group that the kernel has ended `killed` processes of.
ControlGroups groups(const Path& folder, const char* line, const char* file, int killed) {
  const ControlGroups groups{.membership = folder / "cgroup", .root = folder / "fs"};
  EXPECT_TRUE(real_files().make_folders((groups.root / file).parent_path()));
  EXPECT_TRUE(real_files().write_whole(groups.membership, line));
  EXPECT_TRUE(
      real_files().write_whole(groups.root / file, fmt::format("oom 9\noom_kill {}\n", killed)));
  return groups;
}

TEST(MemoryLimit, IsReadFromControlGroupsOfBothVersions) {
  test::TemporaryFolder folder;

  EXPECT_EQ(ended_for_memory(groups(folder / "2", "0::/job/7\n", "job/7/memory.events", 3)), 3);
  EXPECT_EQ(ended_for_memory(groups(
                folder / "1", "5:cpu:/x\n4:memory:/job/7\n", "memory/job/7/memory.oom_control", 2)),
            2);
  EXPECT_EQ(ended_for_memory({.membership = folder / "none", .root = folder.path()}), 0);
}

TEST_F(OutcomeOf, OnlyAPublishedCheckpointIsProgress) {
  const int attempt = claim();
  exits(attempt, 75);
  ASSERT_TRUE(real_files().make_folders(run_.attempt_path(attempt) / "checkpoint-8.tmp"));
  EXPECT_FALSE(outcome(attempt).ending.progressed);

  ASSERT_TRUE(real_files().make_folders(run_.attempt_path(attempt) / "checkpoint-8"));

  EXPECT_TRUE(outcome(attempt).ending.progressed);
}

TEST_F(OutcomeOf, LastWordsAreTheLastLinesOfTheLog) {
  write(folder_ / "log", "one\ntwo\nthree\nfour");

  EXPECT_THAT(last_words(real_files(), folder_ / "log", 2), ElementsAre("three", "four"));
  EXPECT_THAT(last_words(real_files(), folder_ / "none", 2), ElementsAre());
}

TEST_F(OutcomeOf, ARetryTakesBackACancelAndForgivesWhatWasBefore) {
  claim();
  claim();
  ASSERT_TRUE(mark_cancelled(real_files(), run_, 1.0));
  EXPECT_TRUE(marked_cancelled(real_files(), run_));
  EXPECT_EQ(forgiven_attempts(real_files(), run_), 0);

  ASSERT_TRUE(mark_retry(real_files(), run_, 2.0));

  EXPECT_FALSE(marked_cancelled(real_files(), run_));
  EXPECT_EQ(forgiven_attempts(real_files(), run_), 2);
}

}  // namespace
}  // namespace ration::scheduler
