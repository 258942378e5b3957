// Supervisors that people stop and signal: nothing waits for them longer than it says.

#include "scheduler/supervisor_pool.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/hash.h"
#include "run/exit_codes.h"
#include "scheduler/local_executor.h"
#include "scheduler/outcome.h"
#include "scheduler/stop_signals.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::scheduler {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kPatience = 20;  // seconds; a loaded machine is slow

class StoppedSupervisor : public testing::Test {
 protected:
  StoppedSupervisor() { EXPECT_TRUE(run_.create(test::small_spec(), {.data = "/data"})); }
  ~StoppedSupervisor() override {
    for (const ProcessId& process : stopped_) send_signal(process, SIGKILL);
  }

  void worker(const std::string& script) {
    ASSERT_TRUE(real_files().write_whole(trainer_, "#!/bin/sh\n" + script + "\n"));
    std::filesystem::permissions(trainer_, std::filesystem::perms::all);
  }
  std::unique_ptr<LocalExecutor> executor() {
    return std::make_unique<LocalExecutor>(
        real_files(), LocalOptions{.ration = RATION_PROGRAM, .trainer = trainer_});
  }
  Launch launch(int number) const {
    return {.attempt = number, .run_folder = run_.path(), .number = number, .token = token_};
  }
  void stop(const ProcessId& process) {
    stopped_.push_back(process);
    ASSERT_TRUE(send_signal(process, SIGSTOP));
  }
  static bool ends(LocalExecutor& executor, std::int64_t attempt) {
    const double deadline = now() + kPatience;
    while (now() < deadline) {
      const std::vector<std::int64_t> ended = executor.wait(0.05, -1).value();
      if (std::ranges::find(ended, attempt) != ended.end()) return true;
    }
    return false;
  }
  bool appears(const Path& path) {
    const double deadline = now() + kPatience;
    while (!real_files().exists(path) && now() < deadline) system_clock().sleep(0.01);
    return real_files().exists(path);
  }
  static double now() { return system_clock().monotonic_seconds(); }

  test::TemporaryFolder folder_;
  Path trainer_ = folder_ / "trainer";
  run::RunFolder run_{real_files(), folder_ / "run"};
  std::string token_ = sha256_hex(folder_.path().string()).substr(0, 32);
  std::vector<ProcessId> stopped_;
};

TEST_F(StoppedSupervisor, DelaysNoSignalOfTheScheduler) {
  worker("exit 0");
  StopSignals signals;
  const std::unique_ptr<LocalExecutor> local = executor();
  const ProcessId supervisor = local->start(launch(1)).value().process;
  ASSERT_TRUE(ends(*local, 1));
  stop(supervisor);
  ASSERT_TRUE(local->start(launch(2)));

  raise(SIGINT);
  const double begin = now();
  EXPECT_THAT(local->wait(kPatience, signals.descriptor()).value(), IsEmpty());

  EXPECT_LT(now() - begin, kPatience / 4);
  EXPECT_EQ(signals.take(), 1);
  local->stop(2, false);
  EXPECT_FALSE(run_.exit_status(2).value());
}

TEST_F(StoppedSupervisor, CarriesOutWhatItWasAskedForWhenItGoesOn) {
  worker("exit 3");
  const std::unique_ptr<LocalExecutor> local = executor();
  const ProcessId supervisor = local->start(launch(1)).value().process;
  ASSERT_TRUE(ends(*local, 1));
  stop(supervisor);
  ASSERT_TRUE(local->start(launch(2)));
  EXPECT_THAT(local->wait(0.3, -1).value(), IsEmpty());

  send_signal(supervisor, SIGCONT);

  EXPECT_TRUE(ends(*local, 2));
  EXPECT_EQ(run_.exit_status(2).value(), 3);
}

TEST_F(StoppedSupervisor, DelaysTheEndOfTheSchedulerByNoMoreThanASecond) {
  worker("exit 0");
  std::unique_ptr<LocalExecutor> local = executor();
  const ProcessId supervisor = local->start(launch(1)).value().process;
  ASSERT_TRUE(ends(*local, 1));
  stop(supervisor);

  const double begin = now();
  local.reset();

  EXPECT_LT(now() - begin, 5) << "one, and a busy machine";
  EXPECT_TRUE(alive(supervisor));
}

// A request to stop that comes while the worker's program is still being loaded.
TEST_F(StoppedSupervisor, AWorkerThatARequestEndedBeforeItListenedHasLeftAsAsked) {
  for (const int number : {SIGUSR1, SIGTERM}) {
    const int attempt = number == SIGUSR1 ? 1 : 2;
    const Path ready = folder_ / fmt::format("ready{}", attempt);
    worker(fmt::format("touch {}; while true; do sleep 0.02; done", ready.string()));
    const std::unique_ptr<LocalExecutor> local = executor();
    const ProcessId supervisor = local->start(launch(attempt)).value().process;
    ASSERT_TRUE(appears(ready));

    send_signal(supervisor, number);

    ASSERT_TRUE(ends(*local, attempt));
    EXPECT_EQ(run_.exit_status(attempt).value(), static_cast<int>(run::WorkerExit::preempted));
    const Outcome outcome = outcome_of(real_files(), run_, attempt, token_);
    EXPECT_EQ(outcome.failure, store::FailureClass::preempted);
    EXPECT_THAT(outcome.ending.detail, HasSubstr("before a checkpoint"));
  }
}

}  // namespace
}  // namespace ration::scheduler
