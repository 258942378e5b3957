// What is read out of the answers of SLURM's commands, and what is put into their options.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/clock.h"
#include "scheduler/slurm/ending.h"
#include "scheduler/slurm/queue.h"
#include "support/temporary_folder.h"

namespace ration::scheduler::slurm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Submission failed(const char* words) { return read_submission(1, false, "", words); }

TEST(SlurmSubmission, TheNumberIsReadWithAndWithoutTheClustersName) {
  EXPECT_EQ(read_submission(0, false, "17\n", "").job, 17);
  EXPECT_EQ(read_submission(0, false, "note of the site\n17;big\n", "").job, 17);
}

TEST(SlurmSubmission, AnAnswerThatWasCutOrLostIsNoAnswer) {
  EXPECT_EQ(read_submission(0, false, "", "").kind, SubmitKind::unknown);
  EXPECT_EQ(read_submission(0, false, "17", "").kind, SubmitKind::unknown)
      << "170 may have been cut";
  EXPECT_EQ(read_submission(137, true, "17\n", "").kind, SubmitKind::unknown);
  EXPECT_EQ(failed("sbatch: error: Unable to contact slurm controller (connect failure)").kind,
            SubmitKind::unknown);
}

TEST(SlurmSubmission, LimitsAndMistakesAreToldApart) {
  EXPECT_EQ(failed("Job violates accounting/QOS policy (job submit limit, user's size)").kind,
            SubmitKind::full);
  EXPECT_EQ(failed("Invalid job array specification").kind, SubmitKind::full);
  EXPECT_EQ(failed("Invalid partition name specified").kind, SubmitKind::refused);
  EXPECT_EQ(failed("Requested node configuration is not available").kind, SubmitKind::refused);
}

TEST(SlurmQueue, TasksAreKnownByNameAndIndex) {
  const Listing listing = read_squeue(
      "2|0|RUNNING|None|ration-a\n2|1|PENDING|Priority|ration-a\n3|N/A|RUNNING|None|x|y\n4|0|RUN");

  ASSERT_EQ(listing.size(), 2U) << "jobs without an index, and half a line, are left out";
  EXPECT_EQ(listing.at({"ration-a", 0}).phase, Phase::running);
  EXPECT_EQ(listing.at({"ration-a", 1}).reason, "Priority");
}

TEST(SlurmQueue, TheCopyThatIsAliveCounts) {
  const Listing listing = read_squeue(
      "2|0|NODE_FAIL|None|ration-a\n9|0|RUNNING|None|ration-a\n2|0|FAILED|None|ration-a\n");

  EXPECT_EQ(listing.at({"ration-a", 0}).job, 9);
}

TEST(SlurmQueue, AStateThatNobodyKnowsIsAlive) {
  EXPECT_EQ(phase_of("STAGE_OUT"), Phase::running);
  EXPECT_EQ(phase_of("CANCELLED by 1000"), Phase::over);
  EXPECT_EQ(phase_of("REQUEUE_HOLD"), Phase::pending);
}

TEST(SlurmAccounting, TheLastWordOnATaskCounts) {
  const Listing listing =
      read_sacct("16_0|ration-a|NODE_FAIL\n16_0|ration-a|COMPLETED\n16_[1-3]|ration-a|PENDING\n");

  ASSERT_EQ(listing.size(), 1U);
  EXPECT_EQ(listing.at({"ration-a", 0}).state, "COMPLETED");
}

TEST(SlurmBatch, FoldersOfAnyNameAreOneWordOfTheScript) {
  const Batch batch{.token = "t", .folder = "/a b/it's $(x)", .tasks = {Launch{}}};

  const std::string script =
      job_script(batch, {.ration = "/r", .trainer = "/t"}, {.modules = {"gcc/12"}});

  EXPECT_THAT(script, HasSubstr("cd '/a b/it'\\''s $(x)' || exit 1\n"));
  EXPECT_THAT(script, HasSubstr("module load 'gcc/12' || exit 1\n"));
}

TEST(SlurmBatch, APercentSignOfAFolderIsNoPatternOfSlurm) {
  const Batch batch{.token = "t", .folder = "/100%a", .tasks = {Launch{}, Launch{}}};

  const std::vector<std::string> words = sbatch_words(batch, {});

  EXPECT_THAT(words, Contains("--output=/100%%a/%a.out"));
  EXPECT_THAT(words, Contains("--array=0-1"));
  EXPECT_THAT(words, Not(Contains(HasSubstr("--partition"))));
}

TEST(SlurmBatch, ARetryAsksForMoreMemoryAndOtherMachines) {
  const Launch launch{.memory_factor = 1.5, .avoid = {"n1", "n2"}};
  const Batch batch{.token = "t", .folder = "/s", .tasks = {launch}};

  EXPECT_THAT(sbatch_words(batch, {.memory_bytes = 1 << 30}), Contains("--mem=1536M"));
  EXPECT_THAT(sbatch_words(batch, {}), Contains("--exclude=n1,n2"));
  EXPECT_THAT(sbatch_words(batch, {}), Not(Contains(HasSubstr("--mem"))))
      << "the cluster's default is not known";
}

TEST(SlurmBatch, JobsOfOneArrayAskForTheSame) {
  EXPECT_TRUE(alike(Launch{.attempt = 1}, Launch{.attempt = 2}));
  EXPECT_FALSE(alike(Launch{}, Launch{.threads = 2}));
  EXPECT_FALSE(alike(Launch{}, Launch{.memory_factor = 1.5}));
  EXPECT_FALSE(alike(Launch{}, Launch{.avoid = {"n1"}}));
}

TEST(SlurmBatch, WhatAJobAskedForIsReadBack) {
  test::TemporaryFolder folder;
  Launch launch{.run_folder = "/r", .number = 2, .token = "a", .threads = 3};
  launch.memory_factor = 2.25;
  launch.avoid = {"n1"};
  const Batch batch{.token = "t", .folder = folder / "t", .tasks = {launch}};
  ASSERT_TRUE(write_batch(real_files(), batch, {.ration = "/r", .trainer = "/t"}, {}));

  const Batch read = read_batch(real_files(), batch.folder).value();

  ASSERT_EQ(read.tasks.size(), 1);
  EXPECT_TRUE(alike(read.tasks[0], launch));
}

// As a job that SLURM started with these two variables.
Result<int> as_job(const Batch& batch, const char* index, const Path& trainer) {
  setenv("SLURM_JOB_NAME", batch.name().c_str(), 1);
  setenv("SLURM_ARRAY_TASK_ID", index, 1);
  Result<int> status = carry_out(real_files(), batch.folder, trainer);
  unsetenv("SLURM_JOB_NAME");
  unsetenv("SLURM_ARRAY_TASK_ID");
  return status;
}

TEST(SlurmBatch, AJobOutsideItsArrayDoesNothing) {
  test::TemporaryFolder folder;
  const Launch launch{.run_folder = folder / "r", .number = 1, .token = "a"};
  const Batch batch{.token = "t", .folder = folder / "t", .tasks = {launch, launch}};
  ASSERT_TRUE(write_batch(real_files(), batch, {.ration = "/r", .trainer = "/t"}, {}));

  for (const char* index : {"2", "", "0x", "-1", "99999999999999999999"}) {
    const Result<int> status = as_job(batch, index, "/t");
    ASSERT_FALSE(status) << index;
    EXPECT_EQ(status.error().kind, ErrorKind::input);
  }
  EXPECT_FALSE(real_files().exists(folder / "r"));
}

TEST(SlurmEnding, EveryWordOfTheQueueHasItsClass) {
  const std::vector<std::pair<QueueEnding, FailureClass>> classes = {
      {{.state = "OUT_OF_MEMORY"}, FailureClass::oom_host},
      {{.state = "FAILED", .said = "slurmstepd: error: Exceeded job memory limit"},
       FailureClass::oom_host},
      {{.state = "FAILED", .said = "Detected 1 oom-kill event(s) in StepId=7.batch"},
       FailureClass::oom_host},
      {{.state = "PREEMPTED"}, FailureClass::preempted},
      {{.state = "CANCELLED", .said = "*** JOB 7 CANCELLED DUE TO PREEMPTION ***"},
       FailureClass::preempted},
      {{.state = "TIMEOUT"}, FailureClass::timeout},
      {{.state = "DEADLINE"}, FailureClass::timeout},
      {{.state = "NODE_FAIL"}, FailureClass::node_failure},
      {{.state = "BOOT_FAIL"}, FailureClass::node_failure},
      {{.state = "FAILED", .reason = "NonZeroExitCode"}, FailureClass::killed},
      {{.state = "UNKNOWN"}, FailureClass::killed}};
  for (const auto& [ending, failure] : classes) {
    EXPECT_EQ(ending_of(ending, false).failure, failure) << describe(ending);
    EXPECT_THAT(ending_of(ending, false).detail, HasSubstr(ending.state));
  }
}

TEST(SlurmEnding, ATimeoutLongBeforeTheLimitIsAPreemption) {
  const auto after = [](double elapsed) {
    return ending_of({.state = "TIMEOUT", .elapsed_seconds = elapsed, .limit_seconds = 3600}, false)
        .failure;
  };

  EXPECT_EQ(after(600), FailureClass::preempted) << "a clean exit in the grace is called TIMEOUT";
  EXPECT_EQ(after(3539), FailureClass::preempted);
  EXPECT_EQ(after(3541), FailureClass::timeout);
  EXPECT_EQ(after(3650), FailureClass::timeout);
}

TEST(SlurmEnding, IsReadAsItWasWritten) {
  test::TemporaryFolder folder;
  const QueueEnding written{.state = "TIMEOUT",
                            .reason = "TimeLimit",
                            .said = "it's \"late\"",
                            .elapsed_seconds = 61.5,
                            .limit_seconds = 60};
  ASSERT_TRUE(write_queue_ending(real_files(), folder.path(), written));

  const QueueEnding read = read_queue_ending(real_files(), folder.path()).value();

  EXPECT_EQ(describe(read), describe(written));
  EXPECT_EQ(read.elapsed_seconds, 61.5);
  EXPECT_EQ(read.limit_seconds, 60);
}

TEST(SlurmConfig, EveryKeyIsReadInItsUnit) {
  const Config config =
      read_config("executor = \"slurm\"\n[slurm]\ntime = \"12h\"\nmemory = \"4GiB\"\npoll = 20\n",
                  "ration.toml")
          .value();

  EXPECT_EQ(config.executor, ExecutorKind::slurm);
  EXPECT_EQ(config.slurm.time_seconds, 12 * 3600);
  EXPECT_EQ(config.slurm.memory_bytes, 4.0 * (1 << 30));
  EXPECT_EQ(config.slurm.poll_seconds, 20);
}

TEST(SlurmConfig, AllMistakesAreToldAtOnceWithTheirPlaces) {
  const Result<Config> config =
      read_config("executer = \"slurm\"\n[slurm]\ngres = \"gpu:1 --wrap=x\"\n", "ration.toml");

  ASSERT_FALSE(config);
  const std::string text = config.error().describe();
  EXPECT_THAT(text, HasSubstr("did you mean \"executor\"?"));
  EXPECT_THAT(text, HasSubstr("ration.toml:3:8"));
}

}  // namespace
}  // namespace ration::scheduler::slurm
