// Attempts as real processes: `ration supervise` over workers that are shell scripts.

#include "scheduler/local_executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/hash.h"
#include "run/exit_codes.h"
#include "scheduler/outcome.h"
#include "scheduler/session.h"
#include "scheduler/stop_signals.h"
#include "scheduler/supervisor.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::scheduler {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kPatience = 20;  // seconds; a loaded machine is slow

// Says "ready", then lives until somebody says "go".
constexpr const char* kWaits = "touch $1/ready; while [ ! -e $1/go ]; do sleep 0.02; done";

class Local : public testing::Test {
 protected:
  Local() { EXPECT_TRUE(run_.create(test::small_spec(), {.data = "/data"})); }
  ~Local() override {
    const auto note = read_supervisor_note(real_files(), run_.attempt_path(1));
    if (!note) return;
    for (const ProcessId& process : {note->worker, note->supervisor}) send_signal(process, SIGKILL);
  }

  // The worker's program: a script that finds the run folder in $1.
  void worker(const std::string& script) {
    ASSERT_TRUE(real_files().write_whole(trainer_, "#!/bin/sh\n" + script + "\n"));
    std::filesystem::permissions(trainer_, std::filesystem::perms::all);
  }
  LocalExecutor executor() {
    return {real_files(), LocalOptions{.ration = RATION_PROGRAM, .trainer = trainer_}};
  }
  Launch launch(int number = 1) const {
    return {.attempt = 6 + number, .run_folder = run_.path(), .number = number, .token = token_};
  }
  void touch(const char* name) { EXPECT_TRUE(real_files().write_whole(run_.path() / name, "")); }
  bool appears(const Path& path) {
    const double deadline = system_clock().monotonic_seconds() + kPatience;
    while (!real_files().exists(path) && system_clock().monotonic_seconds() < deadline)
      system_clock().sleep(0.01);
    return real_files().exists(path);
  }
  // The note, once it names the worker. One that ended at once has no name.
  SupervisorNote note(int number = 1) {
    const double deadline = system_clock().monotonic_seconds() + kPatience;
    for (;;) {
      const auto note = read_supervisor_note(real_files(), run_.attempt_path(number));
      if ((note && (note->worker.pid != 0 || run_.exit_status(number).value())) ||
          system_clock().monotonic_seconds() > deadline)
        return note.value();
      system_clock().sleep(0.01);
    }
  }
  // True when the attempt is reported to have ended within `seconds`.
  static bool ends(LocalExecutor& executor, double seconds = kPatience, std::int64_t attempt = 7) {
    const double deadline = system_clock().monotonic_seconds() + seconds;
    while (system_clock().monotonic_seconds() < deadline) {
      const std::vector<std::int64_t> ended = executor.wait(0.05, -1).value();
      if (std::ranges::find(ended, attempt) != ended.end()) return true;
    }
    return false;
  }
  std::optional<int> exit_status() { return run_.exit_status(1).value(); }
  std::string log(int number = 1) { return real_files().read(run_.log_path(number)).value(); }
  // Starts this attempt of the run and follows it to its end.
  void carry_out(LocalExecutor& executor, int number) {
    ASSERT_TRUE(executor.start(launch(number)));
    ASSERT_TRUE(ends(executor, kPatience, 6 + number));
  }
  static bool dies(const ProcessId& process) {
    const double deadline = system_clock().monotonic_seconds() + kPatience;
    while (alive(process) && system_clock().monotonic_seconds() < deadline)
      system_clock().sleep(0.01);
    return !alive(process);
  }

  test::TemporaryFolder folder_;
  Path trainer_ = folder_ / "trainer";
  run::RunFolder run_{real_files(), folder_ / "run"};
  // Unique, as those of the scheduler are: living attempts are found by it.
  std::string token_ = sha256_hex(folder_.path().string()).substr(0, 32);
};

TEST_F(Local, TheStatusAndTheWordsOfAWorkerAreKept) {
  worker("echo hello; echo oops >&2; exit 42");
  LocalExecutor executor = this->executor();

  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(ends(executor));

  EXPECT_EQ(exit_status(), 42);
  EXPECT_THAT(log(), AllOf(HasSubstr("hello"), HasSubstr("oops")));
}

TEST_F(Local, AWorkerIsToldItsAttemptAndRunsOnOneThread) {
  worker("echo \"$@\" $OMP_NUM_THREADS $GOMP_SPINCOUNT");
  LocalExecutor executor = this->executor();

  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(ends(executor));

  EXPECT_THAT(log(), HasSubstr(run_.path().string() + " --attempt 1 --token " + token_ + " 1 0"));
}

TEST_F(Local, AWorkerSeesTheGpusThatItWasGivenAndTheNoteNamesThem) {
  worker("echo sees $CUDA_VISIBLE_DEVICES");
  LocalExecutor executor = this->executor();
  Launch with_gpus = launch();
  with_gpus.gpus = {"GPU-1a", "GPU-2b"};

  ASSERT_TRUE(executor.start(with_gpus));
  ASSERT_TRUE(ends(executor));

  EXPECT_THAT(log(), HasSubstr("sees GPU-1a,GPU-2b"));
  EXPECT_THAT(note().gpus, testing::ElementsAre("GPU-1a", "GPU-2b"));
}

TEST_F(Local, ASignalThatEndsAWorkerIsKept) {
  worker("kill -9 $$");
  LocalExecutor executor = this->executor();

  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(ends(executor));

  EXPECT_EQ(exit_status(), 128 + SIGKILL);
}

TEST_F(Local, ATrainerThatCannotBeExecutedIsSaidInTheLog) {
  LocalExecutor executor = this->executor();

  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(ends(executor));

  EXPECT_EQ(exit_status(), 127);
  EXPECT_THAT(log(), HasSubstr("cannot execute " + trainer_.string()));
}

TEST_F(Local, AWorkerIsAskedToStop) {
  worker(std::string("trap 'exit 75' TERM; ") + kWaits);
  LocalExecutor executor = this->executor();
  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(appears(run_.path() / "ready"));

  executor.stop(7, false);

  ASSERT_TRUE(ends(executor));
  EXPECT_EQ(exit_status(), 75);
}

TEST_F(Local, AWorkerThatDoesNotListenIsEndedByForce) {
  worker(std::string("trap '' TERM; ") + kWaits);
  LocalExecutor executor = this->executor();
  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(appears(run_.path() / "ready"));
  note();
  executor.stop(7, false);
  ASSERT_FALSE(ends(executor, 0.2));

  executor.stop(7, true);

  ASSERT_TRUE(ends(executor));
  EXPECT_EQ(exit_status(), 128 + SIGKILL);
}

TEST_F(Local, ALivingAttemptIsFollowedAfterARestart) {
  worker(kWaits);
  Placement placement;
  {
    LocalExecutor before = executor();
    placement = before.start(launch()).value();
  }
  ASSERT_TRUE(appears(run_.path() / "ready"));

  LocalExecutor after = executor();
  EXPECT_EQ(after.find(launch(), placement).value().kind, Sighting::Kind::alive);
  EXPECT_FALSE(ends(after, 0.1));
  touch("go");
  EXPECT_TRUE(ends(after));
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(Local, ALivingAttemptIsFoundWithoutItsProcessNumber) {
  worker(kWaits);
  LocalExecutor before = executor();
  const Placement placement = before.start(launch()).value();
  ASSERT_TRUE(appears(run_.path() / "ready"));

  LocalExecutor after = executor();
  const Sighting sighting = after.find(launch(), {}).value();

  EXPECT_EQ(sighting.kind, Sighting::Kind::alive);
  EXPECT_EQ(sighting.placement.process, placement.process);
}

TEST_F(Local, AWorkerIsFollowedWhenItsSupervisorWasKilled) {
  worker(kWaits);
  LocalExecutor executor = this->executor();
  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(appears(run_.path() / "ready"));
  ASSERT_TRUE(send_signal(note().supervisor, SIGKILL));

  EXPECT_FALSE(ends(executor, 0.3)) << "the worker lives on";
  touch("go");
  EXPECT_TRUE(ends(executor));
  EXPECT_EQ(exit_status(), std::nullopt) << "nobody could write it";
}

TEST_F(Local, AWorkerThatHasNotYetItsOwnCommandLineIsAlive) {
  const pid_t leader = fork();
  if (leader == 0) {
    setsid();
    execlp("sh",
           "ration",
           "-c",
           "mkfifo $1/fifo; (read line < $1/fifo) & wait",
           "supervise",
           run_.path().c_str(),
           nullptr);
    _exit(1);
  }
  ASSERT_TRUE(appears(run_.path() / "fifo"));
  const ProcessId supervisor = identify(leader).value();
  while (workers_in_session(supervisor, token_).empty()) system_clock().sleep(0.01);
  kill(leader, SIGKILL);
  waitpid(leader, nullptr, 0);

  const Sighting sighting = executor().find(launch(), {.process = supervisor}).value();

  EXPECT_EQ(sighting.kind, Sighting::Kind::alive);
  EXPECT_NE(sighting.placement.process.pid, leader);
  EXPECT_TRUE(send_signal(sighting.placement.process, SIGKILL));
  while (!workers_in_session(supervisor, token_).empty()) system_clock().sleep(0.01);
}

TEST_F(Local, ACopyOfAStoreLeavesTheOriginalsProcessesAlone) {
  worker(kWaits);
  LocalExecutor original = executor();
  const Placement placement = original.start(launch()).value();
  ASSERT_TRUE(appears(run_.path() / "ready"));
  note();
  Launch copied = launch();
  copied.run_folder = folder_ / "copy";
  std::filesystem::copy(run_.path(), copied.run_folder, std::filesystem::copy_options::recursive);
  const Path moved = folder_ / "moved";

  LocalExecutor of_copy = executor();
  EXPECT_EQ(of_copy.find(copied, placement).value().kind, Sighting::Kind::ended);
  of_copy.stop(copied.attempt, true);
  std::filesystem::rename(run_.path(), moved);
  Launch there = launch();
  there.run_folder = moved;
  EXPECT_EQ(executor().find(there, placement).value().kind, Sighting::Kind::alive);
  std::filesystem::rename(moved, run_.path());

  touch("go");
  EXPECT_TRUE(ends(original));
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(Local, ASupervisorOutlivesTheExecutorUntilItsAttemptIsOver) {
  worker(kWaits);
  {
    LocalExecutor before = executor();
    ASSERT_TRUE(before.start(launch()));
    note();
  }
  touch("go");

  EXPECT_TRUE(appears(run_.exit_path(1)));
  EXPECT_TRUE(dies(note().supervisor));
}

TEST_F(Local, ASupervisorCarriesOutOneAttemptAfterAnother) {
  worker("echo attempt $3; exit $3");
  LocalExecutor executor = this->executor();

  carry_out(executor, 1);
  carry_out(executor, 2);

  EXPECT_EQ(note(1).supervisor, note(2).supervisor);
  EXPECT_EQ(log(1), "attempt 1\n");
  EXPECT_EQ(log(2), "attempt 2\n");
  EXPECT_EQ(run_.exit_status(1).value(), 1);
  EXPECT_EQ(run_.exit_status(2).value(), 2);
}

TEST_F(Local, AnIdleSupervisorEndsWithItsExecutor) {
  worker("exit 0");
  {
    LocalExecutor executor = this->executor();
    carry_out(executor, 1);
    EXPECT_TRUE(alive(note().supervisor));
  }

  EXPECT_FALSE(alive(note().supervisor));
}

TEST_F(Local, AnIdleSupervisorThatWasKilledIsReplaced) {
  worker("exit 0");
  LocalExecutor executor = this->executor();
  carry_out(executor, 1);
  send_signal(note(1).supervisor, SIGKILL);
  ASSERT_TRUE(dies(note(1).supervisor));

  carry_out(executor, 2);

  EXPECT_NE(note(1).supervisor, note(2).supervisor);
}

// The signal may reach it after the attempt, and would stop the next one.
TEST_F(Local, ASupervisorThatGotASignalCarriesOutNoFurtherAttempt) {
  worker(std::string("trap 'exit 75' TERM; ") + kWaits);
  LocalExecutor executor = this->executor();
  ASSERT_TRUE(executor.start(launch()));
  ASSERT_TRUE(appears(run_.path() / "ready"));
  executor.stop(7, false);
  ASSERT_TRUE(ends(executor));
  touch("go");

  carry_out(executor, 2);

  EXPECT_FALSE(alive(note(1).supervisor));
  EXPECT_EQ(run_.exit_status(2).value(), 0);
}

TEST_F(Local, AnAttemptHasEndedThoughItsSupervisorCarriesOutAnother) {
  worker(std::string("[ $3 = 1 ] || { ") + kWaits + "; }");
  Placement placement;
  {
    LocalExecutor before = executor();
    carry_out(before, 1);
    placement = before.start(launch(2)).value();
    ASSERT_TRUE(appears(run_.path() / "ready"));
  }
  ASSERT_EQ(note(1).supervisor, note(2).supervisor);

  LocalExecutor after = executor();

  EXPECT_EQ(after.find(launch(1), placement).value().kind, Sighting::Kind::ended);
  EXPECT_EQ(after.find(launch(2), placement).value().kind, Sighting::Kind::alive);
  touch("go");
  EXPECT_TRUE(ends(after, kPatience, 8));
}

TEST_F(Local, AnAttemptThatHasEndedIsFoundSo) {
  worker("exit 0");
  LocalExecutor executor = this->executor();
  const Placement placement = executor.start(launch()).value();
  ASSERT_TRUE(ends(executor));

  EXPECT_EQ(this->executor().find(launch(), placement).value().kind, Sighting::Kind::ended);
}

TEST_F(Local, AnAbsentAttemptNeverStartsAfterwards) {
  worker("touch $1/ran");
  LocalExecutor executor = this->executor();

  EXPECT_EQ(executor.find(launch(), {}).value().kind, Sighting::Kind::absent);
  ASSERT_TRUE(executor.start(launch()));  // a supervisor that was slow to begin
  ASSERT_TRUE(ends(executor));

  EXPECT_FALSE(real_files().exists(run_.path() / "ran"));
  EXPECT_TRUE(outcome_of(real_files(), run_, 1, token_).ending.never_started);
}

TEST_F(Local, AProcessThatGotTheNumberOfAnotherIsLeftAlone) {
  worker("exit 0");
  LocalExecutor executor = this->executor();
  ProcessId reused = this_process();
  --reused.start;

  const Sighting sighting =
      executor.find(launch(), {.host = host_name(), .process = reused}).value();
  executor.stop(7, true);

  EXPECT_NE(sighting.kind, Sighting::Kind::alive);
}

TEST_F(Local, AfterARebootAnAttemptIsOverAndNobodyGetsASignal) {
  worker(kWaits);
  LocalExecutor before = executor();
  ASSERT_TRUE(before.start(launch()));
  SupervisorNote living = note();
  // The same numbers, of the time before a reboot, and no token on a command line to find it by.
  const ProcessId supervisor = living.supervisor;
  const std::string other_token(32, 'f');
  for (const char* name : {"supervisor.json", "worker.json"}) {
    const Path file = run_.attempt_path(1) / name;
    std::string text = real_files().read(file).value();
    text.replace(text.find(supervisor.boot), supervisor.boot.size(), "before-the-reboot");
    if (const std::size_t at = text.find(token_); at != std::string::npos)
      text.replace(at, token_.size(), other_token);
    ASSERT_TRUE(real_files().write_whole(file, text));
  }
  Launch found = launch();
  found.token = other_token;
  LocalExecutor after = executor();

  const Sighting sighting = after
                                .find(found,
                                      {.host = host_name(),
                                       .process = {.boot = "before-the-reboot",
                                                   .pid = supervisor.pid,
                                                   .start = supervisor.start}})
                                .value();
  after.stop(7, false);
  after.stop(7, true);

  EXPECT_EQ(sighting.kind, Sighting::Kind::ended);
  EXPECT_TRUE(alive(supervisor));
  EXPECT_TRUE(alive(living.worker));
  for (const ProcessId& process : {living.worker, living.supervisor}) send_signal(process, SIGKILL);
}

TEST_F(Local, AWorkerIsOutOfReachOfAClosedTerminal) {
  worker(kWaits);
  LocalExecutor executor = this->executor();
  ASSERT_TRUE(executor.start(launch()));
  const SupervisorNote note = this->note();

  for (const ProcessId& process : {note.supervisor, note.worker})
    EXPECT_NE(getsid(static_cast<pid_t>(process.pid)), getsid(0));
  touch("go");
  EXPECT_TRUE(ends(executor));
}

TEST(StopSignals, CtrlCAndTermAreRequestsAndAClosedTerminalIsNone) {
  StopSignals signals;
  sigset_t held;
  sigprocmask(SIG_SETMASK, nullptr, &held);
  EXPECT_EQ(signals.take(), 0);

  raise(SIGINT);
  EXPECT_EQ(signals.take(), 1);
  raise(SIGTERM);
  EXPECT_EQ(signals.take(), 1);

  EXPECT_FALSE(sigismember(&held, SIGHUP)) << "it ends the scheduler, and the runs go on";
}

}  // namespace
}  // namespace ration::scheduler
