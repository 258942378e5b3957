#include "run/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>

#include "run/settings_file.h"
#include "support/failing_files.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RunFolderTest : public testing::Test {
 protected:
  RunFolder folder() { return RunFolder(real_files(), folder_ / "run"); }
  RunFolder created() {
    RunFolder made = folder();
    EXPECT_TRUE(made.create(test::small_spec(), {}));
    return made;
  }

  test::TemporaryFolder folder_;
};

TEST_F(RunFolderTest, HoldsTheSpecItWasMadeFor) {
  Execution execution;
  execution.data = "data";
  ASSERT_TRUE(folder().create(test::small_spec(), execution));

  const Result<RunFile> file = folder().read_spec();
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(file->spec, test::small_spec());
  EXPECT_EQ(file->execution, execution);
}

TEST_F(RunFolderTest, IsTheSameMadeFromCanonicalTexts) {
  Execution execution;
  execution.data = "it's \"data\" {}";
  const RunSpec spec = test::small_spec();
  const std::string text = run_json_text(run_id(spec),
                                         canonical_json(to_json(spec)).value(),
                                         canonical_json(to_json(execution)).value());
  EXPECT_EQ(text, run_json(spec, execution));

  ASSERT_TRUE(create_run_folder(real_files(), folder().path(), text));

  EXPECT_EQ(folder().read_spec().value().execution, execution);
}

TEST_F(RunFolderTest, MayBeMadeAgainWithOtherExecutionSettings) {
  RunFolder run = created();
  ASSERT_EQ(run.claim_attempt().value(), 1);
  Execution execution;
  execution.threads = 4;
  ASSERT_TRUE(run.create(test::small_spec(), execution));

  EXPECT_EQ(run.read_spec()->execution.threads, 4);
  EXPECT_THAT(run.attempts().value(), ElementsAre(1));
}

TEST_F(RunFolderTest, RefusesAnotherSpecAndKeepsItsOwn) {
  RunFolder run = created();
  const Result<void> again = run.create(test::small_spec(16), {});

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::internal);
  EXPECT_EQ(run.read_spec()->spec, test::small_spec());
}

TEST_F(RunFolderTest, CountsAttemptsFromOneUpwards) {
  RunFolder run = created();
  EXPECT_THAT(run.attempts().value(), IsEmpty());
  for (int number = 1; number <= 11; ++number) EXPECT_EQ(run.claim_attempt().value(), number);

  EXPECT_THAT(run.attempts().value(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST_F(RunFolderTest, ClaimsOneNumberAboveTheHighestEvenWhenOthersAreGone) {
  RunFolder run = created();
  ASSERT_TRUE(real_files().make_folders(run.attempt_path(7)));

  EXPECT_EQ(run.claim_attempt().value(), 8);
}

TEST_F(RunFolderTest, IgnoresNamesThatAreNoAttempts) {
  RunFolder run = created();
  for (const char* name : {"attempt-",
                           "attempt-0",
                           "attempt-07",
                           "attempt-2147483647",
                           "attempt--3",
                           "attempt-2x",
                           "attempt-9e9",
                           "attempt-99999999999",
                           "attempts-4",
                           "attempt-3.tmp"})
    ASSERT_TRUE(real_files().make_folders(run.path() / name));

  EXPECT_THAT(run.attempts().value(), IsEmpty());
  EXPECT_EQ(run.claim_attempt().value(), 1);
}

TEST_F(RunFolderTest, CannotBeClaimedBeforeItIsMade) {
  const Result<std::optional<int>> claim = folder().claim_attempt();
  ASSERT_FALSE(claim);
  EXPECT_THAT(claim.error().what, HasSubstr("run"));
}

TEST_F(RunFolderTest, GivesEachAttemptToExactlyOneOfManyWorkers) {
  created();
  constexpr int kWorkers = 8;
  constexpr int kRounds = 20;
  std::vector<std::atomic<int>> owners(kWorkers * kRounds + 1);
  std::barrier together(kWorkers);
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kWorkers; ++worker)
    workers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        together.arrive_and_wait();
        const std::optional<int> number = folder().claim_attempt().value();
        if (number) ++owners[static_cast<std::size_t>(*number)];
      }
    });
  for (std::thread& worker : workers) worker.join();

  const std::vector<int> attempts = folder().attempts().value();
  ASSERT_GE(attempts.size(), static_cast<std::size_t>(kRounds));  // every round has a winner
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    EXPECT_EQ(attempts[i], static_cast<int>(i) + 1);  // no number is left out
    EXPECT_EQ(owners[i + 1], 1) << "attempt " << i + 1;
  }
}

TEST_F(RunFolderTest, FencesEveryAttemptButTheHighest) {
  RunFolder run = created();
  EXPECT_FALSE(run.fenced(1).value());
  ASSERT_EQ(run.claim_attempt().value(), 1);
  EXPECT_FALSE(run.fenced(1).value());
  ASSERT_EQ(run.claim_attempt().value(), 2);

  EXPECT_TRUE(run.fenced(1).value());
  EXPECT_FALSE(run.fenced(2).value());
}

TEST_F(RunFolderTest, TellsAWorkerWhoseFolderWasRemovedThatItCannotKnow) {
  EXPECT_FALSE(folder().fenced(1));
}

TEST_F(RunFolderTest, PublishesItsResultOnce) {
  RunFolder run = created();
  EXPECT_FALSE(run.result().value().has_value());

  EXPECT_TRUE(run.publish_result({{"attempt", 1}}).value());
  EXPECT_FALSE(run.publish_result({{"attempt", 2}}).value());

  EXPECT_EQ(run.result().value(), Json({{"attempt", 1}}));
}

TEST_F(RunFolderTest, NamesTheLastCheckpointAsItsResultDoes) {
  RunFolder run = created();
  EXPECT_EQ(run.result_checkpoint().value(), std::nullopt);

  run.publish_result({{"checkpoint", "attempt-1/checkpoint-9"}}).value();

  EXPECT_EQ(run.result_checkpoint().value(), "attempt-1/checkpoint-9");
}

TEST_F(RunFolderTest, TakesAResultWithoutANameForOneWithoutACheckpoint) {
  for (const char* odd : {R"({"checkpoint":7})", R"({"attempt":1})", "[1]"}) {
    SCOPED_TRACE(odd);
    RunFolder run = created();
    ASSERT_TRUE(real_files().write_whole(run.result_path(), odd));
    EXPECT_EQ(run.result_checkpoint().value(), std::nullopt);
  }
}

TEST_F(RunFolderTest, PublishesTheResultOfExactlyOneOfManyWorkers) {
  created();
  constexpr int kWorkers = 8;
  std::atomic<int> winner = 0;
  std::atomic<int> winners = 0;
  std::barrier together(kWorkers);
  std::vector<std::thread> workers;
  for (int worker = 1; worker <= kWorkers; ++worker)
    workers.emplace_back([&, worker] {
      together.arrive_and_wait();
      if (folder().publish_result({{"attempt", worker}}).value()) winner = worker, ++winners;
    });
  for (std::thread& worker : workers) worker.join();

  EXPECT_EQ(winners, 1);
  EXPECT_EQ(folder().result().value().value()["attempt"], winner.load());
}

TEST_F(RunFolderTest, RefusesAResultThatIsNoJson) {
  RunFolder run = created();
  EXPECT_FALSE(run.publish_result({{"loss", std::numeric_limits<double>::quiet_NaN()}}));
  EXPECT_FALSE(run.result().value().has_value());
}

TEST_F(RunFolderTest, RemembersTheExitStatusOfAnAttempt) {
  RunFolder run = created();
  ASSERT_EQ(run.claim_attempt().value(), 1);
  EXPECT_FALSE(run.exit_status(1).value().has_value());

  ASSERT_TRUE(run.write_exit_status(1, 75));
  EXPECT_EQ(run.exit_status(1).value(), 75);
  EXPECT_EQ(real_files().read(run.exit_path(1)).value(), "75\n");
}

TEST_F(RunFolderTest, RefusesAnExitFileWithoutANumber) {
  RunFolder run = created();
  ASSERT_EQ(run.claim_attempt().value(), 1);
  for (const char* text : {"\n", "done\n", "75 or so\n", "7\n5\n"}) {
    ASSERT_TRUE(real_files().write_whole(run.exit_path(1), text));
    const Result<std::optional<int>> status = run.exit_status(1);
    ASSERT_FALSE(status) << text;
    EXPECT_THAT(status.error().what, HasSubstr("exit"));
  }
}

TEST_F(RunFolderTest, AnEmptyExitFileIsOneThatDidNotReachTheDisk) {
  RunFolder run = created();
  ASSERT_EQ(run.claim_attempt().value(), 1);
  ASSERT_TRUE(real_files().write_whole(run.exit_path(1), ""));

  EXPECT_EQ(run.exit_status(1).value(), std::nullopt);
}

// Whatever operation the process dies in, the folder is afterwards either not there yet or good.
TEST_F(RunFolderTest, IsWholeOrAbsentAfterAKillAtAnyOperation) {
  bool died = true;
  for (int operation = 0; died; ++operation) {
    test::TemporaryFolder place;
    test::FailingFiles files(real_files(), test::FailingFiles::Mode::killed, operation);
    RunFolder dying(files, place / "run");
    if (dying.create(test::small_spec(), {})) {
      const Result<std::optional<int>> claim = dying.claim_attempt();
      if (claim && *claim) (void)dying.publish_result({{"attempt", **claim}});
    }
    died = files.failed();

    RunFolder next(real_files(), place / "run");
    ASSERT_TRUE(next.create(test::small_spec(), {})) << operation;
    EXPECT_EQ(next.read_spec()->spec, test::small_spec()) << operation;
    const Result<std::optional<int>> claim = next.claim_attempt();
    ASSERT_TRUE(claim && claim->has_value()) << operation;
    const bool published = !next.publish_result({{"attempt", **claim}}).value();
    EXPECT_EQ(published, !died) << operation;
  }
}

}  // namespace
}  // namespace ration::run
