#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/fault.h"

namespace ration {
namespace {

// A child that waits for a signal.
pid_t sleeping_child() {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  return child;
}

TEST(Process, KnowsItself) {
  const ProcessId self = this_process();

  EXPECT_EQ(self.pid, getpid());
  EXPECT_EQ(self.boot, boot_id());
  EXPECT_TRUE(alive(self));
}

TEST(Process, IsNobodyWhereThereIsNone) {
  EXPECT_FALSE(identify(0));
  EXPECT_FALSE(identify(-1));
  EXPECT_FALSE(alive(ProcessId{}));
}

TEST(Process, IsNotMistakenForALaterOneWithItsNumber) {
  ProcessId earlier = this_process();
  --earlier.start;

  EXPECT_FALSE(alive(earlier));
  EXPECT_FALSE(send_signal(earlier, SIGTERM));
}

TEST(Process, IsNobodyWhenItEndsWhileItIsLookedAt) {
  // The file of a dying process can be opened and then refuse to be read: met about once in 100.
  for (int i = 0; i < 300; ++i) {
    const pid_t parent = fork();
    if (parent == 0) {
      const pid_t child = fork();
      if (child == 0) _exit(0);
      waitpid(child, nullptr, 0);
      _exit(0);
    }
    std::thread reaper([parent] { waitpid(parent, nullptr, 0); });
    while (identify(parent)) {
    }
    reaper.join();
    EXPECT_FALSE(identify(parent));
  }
}

TEST(Process, IsDeadWhenKilledEvenBeforeItsParentLooks) {
  const pid_t pid = sleeping_child();
  const ProcessId child = identify(pid).value();

  ASSERT_TRUE(send_signal(child, SIGKILL));
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);

  EXPECT_FALSE(alive(child)) << "only its remains are left";
  waitpid(pid, nullptr, 0);
  EXPECT_FALSE(alive(child));
}

TEST(Process, IsFoundByAWordOfItsCommandLine) {
  const std::vector<ProcessId> found =
      find_processes([](std::string_view word) { return word.ends_with("base_test"); });

  EXPECT_NE(std::find(found.begin(), found.end(), this_process()), found.end());
}

TEST(FaultPointDeathTest, KillsTheProcessAtTheChosenPass) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process reads the environment anew
  setenv("RATION_FAULT", "here:3", 1);

  EXPECT_EXIT(
      {
        fault_point("here");
        fault_point("elsewhere");
        fault_point("here");
        std::fputs("two passes", stderr);
        fault_point("here");
      },
      testing::KilledBySignal(SIGKILL),
      "two passes");
  unsetenv("RATION_FAULT");
}

}  // namespace
}  // namespace ration
