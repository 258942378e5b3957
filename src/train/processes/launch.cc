#include "train/processes/launch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "train/processes/child.h"

namespace ration::train {
namespace {

constexpr double kLastWords = 2;  // s for the others to say what they saw, after one failed
constexpr double kToAgree = 20;   // s for the others to end, after the leader ended well

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
Launched verdict(const std::vector<std::optional<int>>& ranks,
                 const std::vector<bool>& ended_by_us) {
  const int leader = ranks[0].value_or(kSignalBase + SIGKILL);
  if (agreed(leader)) return {.exit = leader};
  std::size_t cause = ranks.size();
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const int status = *ranks[i];
    if (ended_by_us[i] || agreed(status)) continue;
    const bool specific = status != static_cast<int>(run::WorkerExit::other);
    if (cause == ranks.size() || (specific && *ranks[cause] == 1)) cause = i;
  }
  if (cause == ranks.size()) cause = 0;
  const int status = *ranks[cause];
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
  Children ranks(options.stop_requested);
  for (int rank = 0; rank < options.processes; ++rank)
    if (!ranks.start({.words = options.command,
                      .variables = {{"RANK", std::to_string(rank)},
                                    {"LOCAL_RANK", std::to_string(rank)},
                                    {"WORLD_SIZE", std::to_string(options.processes)},
                                    {"RATION_MEETING", options.meeting.string()}}}))
      return Error{
          .kind = ErrorKind::resource,
          .what = fmt::format(
              "cannot start process {} of {}: {}", rank, options.processes, std::strerror(errno)),
          .hint = "lower processes"};
  std::vector<bool> ended_by_us(ranks.codes().size(), false);
  Clock& clock = system_clock();
  double deadline = 0;  // after which those that are left are killed; 0 = none
  while (ranks.any_left()) {
    ranks.look();
    const double now = clock.monotonic_seconds();
    const auto give = [&](double seconds) {
      deadline = deadline == 0 ? now + seconds : std::min(deadline, now + seconds);
    };
    for (std::size_t i = 0; i < ranks.codes().size(); ++i) {
      if (!ranks.codes()[i] || deadline != 0) continue;
      if (!agreed(*ranks.codes()[i]))
        give(kLastWords);
      else if (i == 0)
        give(kToAgree);
    }
    if (deadline == 0 || now < deadline) continue;
    const std::vector<bool> left = ranks.running();
    for (std::size_t i = 0; i < left.size(); ++i) ended_by_us[i] = ended_by_us[i] || left[i];
    ranks.kill_all();
  }
  unlink(options.meeting.c_str());
  return verdict(ranks.codes(), ended_by_us);
}

}  // namespace ration::train
