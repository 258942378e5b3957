#include "scheduler/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace ration::scheduler {
namespace {

constexpr double kLongestWait = 600;
constexpr int kFruitlessStarts = 5;  // attempts in a row of which nothing was executed
constexpr int kFailedStarts = 2;     // failures before the first step
constexpr double kMoreMemory = 1.5;

int& count(RunNode& node, FailureClass failure) {
  return node.failures[static_cast<std::size_t>(failure)];
}

Verdict retry_or_fail(const Policy& policy, RunNode& node, const Ending& ending, int retries) {
  const int failed = count(node, ending.failure);
  if (failed > retries) return {RunState::failed, 0, ending.detail};
  const double delay = backoff(policy, node.id, failed - 1);
  return {RunState::ready,
          delay,
          fmt::format("{}; retry {} of {} after {:.0f} s", ending.detail, failed, retries, delay)};
}

// Nothing was executed, for example because the scheduler was killed in between: at no cost to the
// run. When it happens over and over, something is wrong with the machine.
Verdict start_again(const Policy& policy, RunNode& node, const Ending& ending) {
  const int before = fruitless_starts(node) - 1;
  if (before >= kFruitlessStarts)
    return {RunState::failed,
            0,
            fmt::format("could not be started {} times: {}", before + 1, ending.detail)};
  return {RunState::ready, before == 0 ? 0 : backoff(policy, node.id, before - 1), ending.detail};
}

}  // namespace

Verdict judge(const Policy& policy, RunNode& node, const Ending& ending) {
  using enum FailureClass;
  const bool was_packed = packed(need_of(node));
  charge(node, ending);
  if (ending.never_started) return start_again(policy, node, ending);
  switch (ending.failure) {
    case none:
      return {RunState::done, 0, ""};
    case diverged:
      return {RunState::diverged, 0, ending.detail};
    case config:
    case data:
      return {RunState::invalid, 0, ending.detail};
    case out_of_memory:
      if (was_packed) return {RunState::ready, 0, ending.detail + "; retry with a GPU to itself"};
      if (count(node, out_of_memory) > 1) return {RunState::failed, 0, ending.detail};
      return {RunState::ready, 0, ending.detail + "; retry with the micro batch halved"};
    case preempted:
      if (ending.progressed) return {RunState::ready, 0, ending.detail};
      // Free, but a worker that leaves at once each time must not spin.
      return {RunState::ready, backoff(policy, node.id, count(node, preempted) - 1), ending.detail};
    case timeout:
      // A run that gets on may be as long as it likes; one that does not would come back forever.
      if (ending.progressed) return {RunState::ready, 0, ending.detail};
      return retry_or_fail(policy, node, ending, policy.retries_killed);
    case disk:
      return {RunState::ready, 0, ending.detail};
    case killed:
      return retry_or_fail(policy, node, ending, policy.retries_killed);
    case oom_host:
      return retry_or_fail(policy, node, ending, policy.retries_memory);
    case node_failure:
      return retry_or_fail(policy, node, ending, policy.retries_node);
    case bug:
      if (node.failed_at_start >= kFailedStarts)
        return {RunState::invalid, 0, ending.detail + ", and before its first step each time"};
      return retry_or_fail(policy, node, ending, policy.retries_bug);
    case fenced:
      return retry_or_fail(policy, node, ending, policy.retries_bug);
  }
  return {RunState::failed, 0, ending.detail};
}

bool tells_of_trouble(const Ending& ending, bool was_packed) {
  using enum FailureClass;
  const bool usual = ending.failure == none || ending.failure == preempted ||
                     ending.failure == diverged ||
                     (ending.failure == timeout && ending.progressed) ||
                     (ending.failure == out_of_memory && was_packed);
  return !usual;
}

Need need_of(const RunNode& node) { return node.alone ? alone(node.need) : node.need; }

int fruitless_starts(const RunNode& node) {
  return node.failures[static_cast<std::size_t>(FailureClass::none)];
}

int halvings(const RunNode& node) {
  return node.failures[static_cast<std::size_t>(FailureClass::out_of_memory)];
}

double memory_factor(const RunNode& node) {
  return std::pow(kMoreMemory, node.failures[static_cast<std::size_t>(FailureClass::oom_host)]);
}

void charge(RunNode& node, const Ending& ending) {
  using enum FailureClass;
  if (ending.never_started) {
    ++count(node, none);
    return;
  }
  count(node, none) = 0;
  if (ending.failure == out_of_memory && packed(need_of(node))) {
    node.alone = true;  // its neighbours may have taken the memory
    return;
  }
  const bool free = ending.failure == preempted || ending.failure == timeout;
  if (free && ending.progressed)
    count(node, ending.failure) = 0;
  else if (ending.failure != none)
    ++count(node, ending.failure);
  if (ending.failure == bug && ending.at_start) ++node.failed_at_start;
  if (ending.failure == node_failure && !ending.host.empty() &&
      std::find(node.avoid.begin(), node.avoid.end(), ending.host) == node.avoid.end())
    node.avoid.push_back(ending.host);
}

void forgive(RunNode& node) {
  node.failures = {};
  node.failed_at_start = 0;
  node.avoid.clear();
  node.alone = false;
}

double backoff(const Policy& policy, const std::string& id, int retry) {
  std::uint64_t key = static_cast<std::uint64_t>(retry);
  for (const char c : id) key = mix(key ^ static_cast<unsigned char>(c));
  const double uniform = static_cast<double>(mix(key) >> 11) * 0x1p-53;
  const double wait =
      std::min(kLongestWait, policy.backoff_seconds * std::exp2(std::min(retry, 30)));
  return wait * (0.75 + 0.5 * uniform);
}

}  // namespace ration::scheduler
