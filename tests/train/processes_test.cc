// Several processes on one run: the program itself, as a person starts it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/process.h"
#include "train/started_program.h"
#include "train/tiny_run.h"

namespace ration::test {
namespace {

using testing::HasSubstr;

class Processes : public testing::Test {
 protected:
  Processes() {
    data_.execution.process_timeout_minutes = 0.5;
    data_.spec.batch_sequences = 5;  // shares of 2 and 3
    data_.spec.dropout = 0.1;
  }

  StartedProgram start(const run::RunFolder& folder) {
    return {{folder.path()}, {.errors = errors()}};
  }
  Path errors() const { return data_ / "stderr"; }
  std::string said() const { return real_files().read(errors()).value(); }
  run::RunFolder create(const std::string& name, std::int64_t processes) {
    data_.execution.processes = processes;
    return data_.create(name);
  }

  static void wait_for_training(const run::RunFolder& folder, int attempt) {
    ASSERT_TRUE(trains(folder, attempt)) << "attempt " << attempt;
  }

  // Every logged loss, training and held-out, within 1e-6: sums in another order.
  static void expect_same_losses(const run::RunFolder& got, const run::RunFolder& want) {
    for (const run::EventType type : {run::EventType::train, run::EventType::val}) {
      const auto a = losses(effective_events(got), type), b = losses(effective_events(want), type);
      ASSERT_EQ(a.size(), b.size());
      for (const auto& [step, loss] : b) EXPECT_NEAR(a.at(step), loss, 1e-6 * loss) << step;
    }
    EXPECT_NEAR(result_of(got)["final_loss"].get<double>(),
                result_of(want)["final_loss"].get<double>(),
                1e-6 * 3);
  }

  TinyData data_;
};

TEST_F(Processes, GiveTheLossesOfOneProcessAtEqualBatch) {
  const run::RunFolder one = create("one", 1), two = create("two", 2), three = create("three", 3);

  ASSERT_EQ(start(one).wait(), 0) << said();
  ASSERT_EQ(start(two).wait(), 0) << said();
  ASSERT_EQ(start(three).wait(), 0) << said();

  expect_same_losses(two, one);
  expect_same_losses(three, one);
  const std::vector<std::string> names = real_files().list(two.path()).value();
  for (const std::string& name : names) EXPECT_THAT(name, testing::Not(testing::EndsWith(".tmp")));
}

TEST_F(Processes, BeginTogetherWithTheWeightsOfAnotherRun) {
  data_.execution.processes = 1;
  data_.spec.tied = false;
  const run::RunFolder source = data_.create(run::run_id(data_.spec));
  ASSERT_EQ(start(source).wait(), 0) << said();
  data_.spec.init = "run:" + source.path().filename().string();
  data_.spec.tune = "head";
  data_.spec.seed = 5;
  const run::RunFolder one = create("one", 1), two = create("two", 2);

  ASSERT_EQ(start(one).wait(), 0) << said();
  ASSERT_EQ(start(two).wait(), 0) << said();

  expect_same_losses(two, one);
  EXPECT_NEAR(losses(effective_events(two), run::EventType::val).at(0),
              result_of(source)["final_loss"].get<double>(),
              1e-6);
}

// As GPUs compute it, of which processors are the twin here.
TEST_F(Processes, ShareTheStepsOfARunInBf16) {
  data_.spec.precision = "bf16";
  data_.spec.dropout = 0;
  const run::RunFolder one = create("one", 1), two = create("two", 2);

  ASSERT_EQ(start(one).wait(), 0) << said();
  ASSERT_EQ(start(two).wait(), 0) << said();

  const auto want = losses(effective_events(one), run::EventType::train);
  const auto got = losses(effective_events(two), run::EventType::train);
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [step, loss] : want) EXPECT_NEAR(got.at(step), loss, 2e-3 * loss) << step;
}

TEST_F(Processes, ResumeFromACheckpointOfAnotherNumberOfProcesses) {
  data_.spec.tokens = 4'000 * 8;
  data_.spec.precision = "fp64";  // what the order of sums changes stays small over 800 steps
  const run::RunFolder straight = create("straight", 1);
  ASSERT_EQ(start(straight).wait(), 0) << said();
  const run::RunFolder changing = create("changing", 2);

  {
    StartedProgram two = start(changing);
    wait_for_training(changing, 1);
    two.signal(SIGTERM);
    ASSERT_EQ(two.wait(), 75) << said();
  }
  create("changing", 1);
  {
    StartedProgram one = start(changing);
    wait_for_training(changing, 2);
    one.signal(SIGTERM);
    ASSERT_EQ(one.wait(), 75) << said();
  }
  create("changing", 3);
  ASSERT_EQ(start(changing).wait(), 0) << said();

  EXPECT_NEAR(result_of(changing)["final_loss"].get<double>(),
              result_of(straight)["final_loss"].get<double>(),
              1e-6);
  EXPECT_EQ(result_of(changing)["steps"], result_of(straight)["steps"]);
}

TEST_F(Processes, EndTogetherWhenOneIsKilled) {
  data_.spec.tokens = 1'000'000 * 8;
  const run::RunFolder folder = create("killed", 2);
  StartedProgram worker = start(folder);
  wait_for_training(folder, 1);
  const std::vector<pid_t> children = worker.children();
  ASSERT_EQ(children.size(), 2U);

  const auto began = std::chrono::steady_clock::now();
  kill(children[1], SIGKILL);

  EXPECT_EQ(worker.wait(), 128 + SIGKILL);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  EXPECT_THAT(said(), HasSubstr("process 1 of 2 was killed by signal 9"));
  EXPECT_THAT(said(), HasSubstr("process 0 lost the others of this run"));
  for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0);
}

TEST_F(Processes, EndWhenOneIsSilentForLongerThanTheTimeout) {
  data_.spec.tokens = 1'000'000 * 8;
  data_.execution.process_timeout_minutes = 0.05;  // 3 s
  const run::RunFolder folder = create("silent", 2);
  StartedProgram worker = start(folder);
  wait_for_training(folder, 1);
  const std::vector<pid_t> children = worker.children();
  ASSERT_EQ(children.size(), 2U);

  kill(children[1], SIGSTOP);

  EXPECT_EQ(worker.wait(), 1);
  EXPECT_THAT(said(), HasSubstr("process 0 lost the others of this run"));
}

// However early: 143 is the end of a program that had not come to listen, which nothing was lost
// by.
TEST_F(Processes, LoseNoRequestToStop) {
  data_.spec.tokens = 1'000'000 * 8;
  const run::RunFolder folder = create("stopped", 2);
  for (const double delay : {0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0}) {
    StartedProgram worker = start(folder);
    sleep_seconds(delay);
    worker.signal(SIGTERM);

    EXPECT_THAT(worker.wait(), testing::AnyOf(75, 128 + SIGTERM)) << delay << " s " << said();
  }
}

// As when a batch system signals all processes of a job.
TEST_F(Processes, TakeARequestThatReachesThemTwiceForOne) {
  data_.spec.tokens = 1'000'000 * 8;
  const run::RunFolder folder = create("stopped", 2);
  StartedProgram worker = start(folder);
  wait_for_training(folder, 1);

  for (const pid_t child : worker.children()) kill(child, SIGTERM);
  worker.signal(SIGTERM);

  EXPECT_EQ(worker.wait(), 75) << said();
}

TEST_F(Processes, AreWaitedForAlsoWhereChildrenAreIgnored) {
  const run::RunFolder folder = create("run", 2);
  std::signal(SIGCHLD, SIG_IGN);  // inherited
  StartedProgram worker = start(folder);
  std::signal(SIGCHLD, SIG_DFL);

  EXPECT_EQ(worker.wait(), 0) << said();
}

TEST_F(Processes, DieWithTheProgramThatStartedThem) {
  data_.spec.tokens = 1'000'000 * 8;
  const run::RunFolder folder = create("orphans", 2);
  StartedProgram worker = start(folder);
  wait_for_training(folder, 1);
  const std::vector<pid_t> children = worker.children();

  worker.signal(SIGKILL);
  EXPECT_EQ(worker.wait(), 128 + SIGKILL);

  for (int i = 0; i < 500; ++i) {
    if (std::ranges::all_of(children, [](pid_t child) { return !identify(child); })) return;
    sleep_seconds(0.01);
  }
  FAIL() << "a process goes on without its parent";
}

TEST_F(Processes, MeetByPortWhereALauncherOfTheFieldStartsThem) {
  const run::RunFolder one = create("one", 1), ranks = create("ranks", 1);
  ASSERT_EQ(start(one).wait(), 0) << said();
  const std::string port = std::to_string(20'000 + getpid() % 20'000);
  const auto rank = [&](const char* number) {
    return StartedProgram({ranks.path()},
                          {.errors = errors(),
                           .variables = {{"RANK", number},
                                         {"WORLD_SIZE", "2"},
                                         {"MASTER_ADDR", "127.0.0.1"},
                                         {"MASTER_PORT", port},
                                         {"GLOO_SOCKET_IFNAME", "lo"}}});
  };

  StartedProgram first = rank("0"), second = rank("1");

  EXPECT_EQ(first.wait(), 0) << said();
  EXPECT_EQ(second.wait(), 0) << said();
  expect_same_losses(ranks, one);
}

TEST_F(Processes, RefuseAnEnvironmentThatMakesNoSense) {
  const run::RunFolder folder = create("run", 1);

  StartedProgram worker({folder.path()},
                        {.errors = errors(), .variables = {{"WORLD_SIZE", "2"}, {"RANK", "2"}}});

  EXPECT_EQ(worker.wait(), 2);
  EXPECT_THAT(said(), HasSubstr("RANK is not 0 to 1"));
}

}  // namespace
}  // namespace ration::test
