#include "scheduler/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace ration::scheduler {
namespace {

constexpr double kLongestWait = 600;
constexpr std::size_t kRecent = 10;  // attempts that the circuit breaker looks at
constexpr int kAlike = 3;            // first runs that may all be unusable
constexpr int kFruitlessStarts = 5;  // attempts in a row of which nothing was executed
constexpr int kFailedStarts = 2;     // failures before the first step
constexpr double kMoreMemory = 1.5;

int& count(RunNode& node, FailureClass failure) {
  return node.failures[static_cast<std::size_t>(failure)];
}

// What follows from an ending, before the sweep as a whole is looked at.
struct Verdict {
  RunState state = RunState::failed;
  double delay = 0;
  std::string reason;
};

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
  const int before = count(node, FailureClass::none) - 1;
  if (before >= kFruitlessStarts)
    return {RunState::failed, 0, fmt::format("could not be started {} times", before + 1)};
  return {RunState::ready, before == 0 ? 0 : backoff(policy, node.id, before - 1), ending.detail};
}

Verdict judge(const Policy& policy, RunNode& node, const Ending& ending) {
  using enum FailureClass;
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

// What may point to a cause that all runs share, and so counts for the circuit breaker.
bool tells_of_trouble(const Ending& ending) {
  using enum FailureClass;
  const bool usual = ending.failure == none || ending.failure == preempted ||
                     ending.failure == diverged || (ending.failure == timeout && ending.progressed);
  return !usual;
}

class Transition {
 public:
  Transition(State state, double now)
      : step_{.state = std::move(state), .actions = {}}, now_(now) {}

  Step finish() && { return std::move(step_); }

  void wake() {
    State& s = step_.state;
    while (!s.waiting.empty() && s.waiting.begin()->first <= now_) {
      s.ready.insert(s.waiting.begin()->second);
      s.waiting.erase(s.waiting.begin());
    }
  }

  void launch() {
    State& s = step_.state;
    while (s.mode == Mode::running && s.active < s.policy.slots && !s.ready.empty()) {
      const std::size_t node = *s.ready.begin();
      s.ready.erase(s.ready.begin());
      s.nodes[node].state = RunState::active;
      ++s.active;
      ++s.active_wanted;
      step_.actions.push_back({.kind = ActionKind::launch, .node = node});
    }
  }

  void ended(std::size_t index, const Ending& ending) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    if (node.state != RunState::active) return;
    --s.active;
    s.active_wanted -= node.wanted ? 1 : 0;
    Verdict verdict = judge(s.policy, node, ending);
    if (node.cancelling && !store::settled(verdict.state))
      verdict = {RunState::cancelled, 0, "cancelled"};
    settle(index, verdict);
    if (!ending.never_started) look_at_the_sweep(ending, verdict.state);
  }

  void cancel(std::size_t index) {
    RunNode& node = step_.state.nodes[index];
    if (node.state == RunState::active) {
      if (!node.cancelling) step_.actions.push_back({.kind = ActionKind::stop, .node = index});
      node.cancelling = true;
    } else if (node.state != RunState::done && node.state != RunState::diverged) {
      forget(index);
      settle(index, {RunState::cancelled, 0, "cancelled"});
    }
  }

  void retry(std::size_t index) {
    RunNode& node = step_.state.nodes[index];
    node.cancelling = false;
    const bool has_result = node.state == RunState::done || node.state == RunState::diverged;
    if (node.state == RunState::active || has_result) return;
    forgive(node);
    forget(index);
    settle(index, {RunState::ready, 0, "retry asked for"});
  }

  void unblock(std::size_t index) {
    State& s = step_.state;
    s.nodes[index].blocked = false;
    if (s.blocked.erase(index) > 0) settle(index, {RunState::ready, 0, ""});
  }

  // Without its trunk it cannot begin. It stays blocked, so that a retry asks again.
  void forsake(std::size_t index, const Ending& ending) {
    if (step_.state.blocked.erase(index) == 0) return;
    settle(index, {RunState::failed, 0, ending.detail});
    ++step_.state.failures;
  }

  void interrupt() {
    stop(Mode::interrupted, StopCause::interrupt, "");
    for (std::size_t i = 0; i < step_.state.nodes.size(); ++i)
      if (step_.state.nodes[i].state == RunState::active)
        step_.actions.push_back({.kind = ActionKind::stop, .node = i});
  }

 private:
  void forget(std::size_t index) {
    step_.state.ready.erase(index);
    step_.state.waiting.erase({step_.state.nodes[index].not_before, index});
    step_.state.blocked.erase(index);
  }

  void settle(std::size_t index, const Verdict& verdict) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    node.state = verdict.state;
    if (verdict.state == RunState::ready && node.wanted && node.blocked) {
      s.blocked.insert(index);
    } else if (verdict.state == RunState::ready && node.wanted) {
      node.not_before = now_ + verdict.delay;
      s.waiting.insert({node.not_before, index});
    }
    step_.actions.push_back({.kind = ActionKind::record,
                             .node = index,
                             .state = verdict.state,
                             .delay = verdict.delay,
                             .text = verdict.reason});
  }

  void look_at_the_sweep(const Ending& ending, RunState outcome) {
    State& s = step_.state;
    s.recent.push_back(tells_of_trouble(ending) ? ending.failure : FailureClass::none);
    if (s.recent.size() > kRecent) s.recent.pop_front();
    s.settled += store::settled(outcome) ? 1 : 0;
    s.settled_invalid += outcome == RunState::invalid ? 1 : 0;
    s.failures += outcome == RunState::failed || outcome == RunState::invalid ? 1 : 0;

    if (ending.failure == FailureClass::disk)
      stop(Mode::draining,
           StopCause::disk,
           "no space left: nothing more is started; free some space and repeat the command");
    if (s.policy.max_failures > 0 && s.failures >= s.policy.max_failures)
      stop(Mode::draining,
           StopCause::failures,
           fmt::format("{} runs failed, the limit that was set: nothing more is started",
                       s.failures));
    if (s.policy.keep_going) return;
    if (s.settled == kAlike && s.settled_invalid == kAlike)
      stop(Mode::draining,
           StopCause::alike,
           fmt::format(
               "the first {} runs all failed with unusable settings or data: nothing more is "
               "started (--keep-going goes on)",
               kAlike));
    if (s.recent.size() < kRecent || s.recent.back() == FailureClass::none) return;
    const auto alike = std::count(s.recent.begin(), s.recent.end(), s.recent.back());
    if (static_cast<std::size_t>(alike) > kRecent / 2)
      stop(Mode::draining,
           StopCause::alike,
           fmt::format("{} of the last {} attempts failed alike ({}): nothing more is started "
                       "(--keep-going goes on)",
                       alike,
                       kRecent,
                       store::name(s.recent.back())));
  }

  void stop(Mode mode, StopCause cause, std::string text) {
    State& s = step_.state;
    if (s.mode >= mode) return;
    s.mode = mode;
    s.cause = cause;
    if (!text.empty()) step_.actions.push_back({.kind = ActionKind::say, .text = std::move(text)});
  }

  Step step_;
  double now_;
};

}  // namespace

State prepare(State state, double now) {
  state.ready.clear();
  state.waiting.clear();
  state.blocked.clear();
  state.active = 0;
  state.active_wanted = 0;
  for (std::size_t i = 0; i < state.nodes.size(); ++i) {
    const RunNode& node = state.nodes[i];
    if (node.state == RunState::active) {
      ++state.active;
      state.active_wanted += node.wanted ? 1 : 0;
    } else if (node.state == RunState::ready && node.wanted) {
      if (node.blocked)
        state.blocked.insert(i);
      else if (node.not_before > now)
        state.waiting.insert({node.not_before, i});
      else
        state.ready.insert(i);
    }
  }
  return state;
}

Step transition(State state, const MachineEvent& event, double now) {
  Transition transition(std::move(state), now);
  switch (event.kind) {
    case EventKind::tick:
      break;
    case EventKind::ended:
      transition.ended(event.node, event.ending);
      break;
    case EventKind::cancel:
      transition.cancel(event.node);
      break;
    case EventKind::retry:
      transition.retry(event.node);
      break;
    case EventKind::interrupt:
      transition.interrupt();
      break;
    case EventKind::unblocked:
      transition.unblock(event.node);
      break;
    case EventKind::forsaken:
      transition.forsake(event.node, event.ending);
      break;
  }
  transition.wake();
  transition.launch();
  return std::move(transition).finish();
}

bool finished(const State& state) {
  if (state.active_wanted > 0) return false;
  return state.mode != Mode::running ||
         (state.ready.empty() && state.waiting.empty() && state.blocked.empty());
}

double next_start(const State& state) {
  return state.waiting.empty() || state.mode != Mode::running
             ? std::numeric_limits<double>::infinity()
             : state.waiting.begin()->first;
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
