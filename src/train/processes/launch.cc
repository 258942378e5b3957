#include "train/processes/launch.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "train/processes/child.h"

namespace ration::train {
namespace {

constexpr double kLastWords = 2;         // s for the others to say what they saw, after one failed
constexpr double kToAgree = 20;          // s for the others to end, after the leader ended well
constexpr long kLookEvery = 50'000'000;  // ns

struct Rank {
  pid_t pid = 0;
  std::optional<int> status = {};  // exit code, or 128 + signal
};

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, number);
  return set;
}

[[noreturn]] void become_rank(const LaunchOptions& options, int rank, pid_t parent) {
  setenv("RANK", std::to_string(rank).c_str(), 1);
  setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
  setenv("WORLD_SIZE", std::to_string(options.processes).c_str(), 1);
  setenv("RATION_MEETING", options.meeting.c_str(), 1);
  become(kThisProgram, options.command, parent);
}

void reap(std::vector<Rank>& ranks) {
  for (Rank& rank : ranks) {
    int status = 0;
    if (rank.status || waitpid(rank.pid, &status, WNOHANG) != rank.pid) continue;
    rank.status = exit_code_of(status);
  }
}

void send(const std::vector<Rank>& ranks, int number) {
  for (const Rank& rank : ranks)
    if (!rank.status) kill(rank.pid, number);
}

// Codes that all ranks come to together.
bool agreed(int status) {
  using run::WorkerExit;
  constexpr std::array kAgreed = {WorkerExit::done,
                                  WorkerExit::diverged,
                                  WorkerExit::preempted,
                                  WorkerExit::preempted_at_once,
                                  WorkerExit::fenced};
  return std::any_of(kAgreed.begin(), kAgreed.end(), [&](WorkerExit code) {
    return status == static_cast<int>(code);
  });
}

// The cause among all endings: the leader's where it is one that all agree on; else what is no
// mere consequence of another's end, which looks like "anything else".
Launched verdict(const std::vector<Rank>& ranks, const std::vector<bool>& ended_by_us) {
  const int leader = ranks[0].status.value_or(kSignalBase + SIGKILL);
  if (agreed(leader)) return {.exit = leader};
  std::size_t cause = ranks.size();
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const int status = *ranks[i].status;
    if (ended_by_us[i] || agreed(status)) continue;
    const bool specific = status != static_cast<int>(run::WorkerExit::other);
    if (cause == ranks.size() || (specific && *ranks[cause].status == 1)) cause = i;
  }
  if (cause == ranks.size()) cause = 0;
  const int status = *ranks[cause].status;
  return {
      .exit = status,
      .what = status > kSignalBase
                  ? fmt::format("process {} of {} was killed by signal {} ({}); the others were "
                                "ended",
                                cause,
                                ranks.size(),
                                status - kSignalBase,
                                strsignal(status - kSignalBase))
                  : fmt::format("process {} of {} ended with exit code {}; the others were ended",
                                cause,
                                ranks.size(),
                                status)};
}

}  // namespace

Result<Launched> launch(const LaunchOptions& options) {
  unlink(options.meeting.c_str());
  const sigset_t set = awaited();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &set, &before);
  const pid_t self = getpid();
  std::vector<Rank> ranks(static_cast<std::size_t>(options.processes));
  std::vector<bool> ended_by_us(ranks.size(), false);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    ranks[i].pid = fork();
    if (ranks[i].pid == 0) become_rank(options, static_cast<int>(i), self);
    if (ranks[i].pid > 0) continue;
    const int reason = errno;
    ranks.resize(i);
    send(ranks, SIGKILL);
    for (const Rank& rank : ranks) waitpid(rank.pid, nullptr, 0);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return Error{
        .kind = ErrorKind::resource,
        .what = fmt::format(
            "cannot start process {} of {}: {}", i, options.processes, std::strerror(reason)),
        .hint = "lower processes"};
  }
  Clock& clock = system_clock();
  double deadline = 0;  // after which those that are left are killed; 0 = none
  const auto running = [](const Rank& rank) { return !rank.status.has_value(); };
  while (std::any_of(ranks.begin(), ranks.end(), running)) {
    const timespec pause{.tv_sec = 0, .tv_nsec = kLookEvery};
    const int number = sigtimedwait(&set, nullptr, &pause);
    if (number == SIGTERM || number == SIGUSR1) send(ranks, number);
    reap(ranks);
    const double now = clock.monotonic_seconds();
    const auto give = [&](double seconds) {
      deadline = deadline == 0 ? now + seconds : std::min(deadline, now + seconds);
    };
    for (const Rank& rank : ranks) {
      if (!rank.status || deadline != 0) continue;
      if (!agreed(*rank.status))
        give(kLastWords);
      else if (&rank == &ranks[0])
        give(kToAgree);
    }
    if (deadline == 0 || now < deadline) continue;
    for (std::size_t i = 0; i < ranks.size(); ++i)
      ended_by_us[i] = ended_by_us[i] || !ranks[i].status;
    send(ranks, SIGKILL);
  }
  unlink(options.meeting.c_str());
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return verdict(ranks, ended_by_us);
}

}  // namespace ration::train
