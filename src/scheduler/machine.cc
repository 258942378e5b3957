#include "scheduler/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "scheduler/choice.h"
#include "scheduler/graph.h"
#include "scheduler/verdict.h"

namespace ration::scheduler {
namespace {

constexpr std::size_t kRecent = 10;  // attempts that the circuit breaker looks at
constexpr int kAlike = 3;            // first runs that may all be unusable

class Transition {
 public:
  Transition(State state, double now)
      : step_{.state = std::move(state), .actions = {}}, now_(now) {}

  Step finish() && { return std::move(step_); }

  // Time that passed while runs were active.
  void count_use() {
    State& s = step_.state;
    const double passed = std::max(0.0, now_ - s.counted);
    for (SweepShare& sweep : s.sweeps) sweep.used += passed * sweep.active;
    s.counted = std::max(s.counted, now_);
  }

  void wake() {
    State& s = step_.state;
    if (std::exchange(s.look_again, false))
      for (const std::size_t index : std::set<std::size_t>(s.blocked)) look(index);
    while (!s.deadlines.empty() && s.deadlines.begin()->first <= now_) {
      const std::size_t index = s.deadlines.begin()->second;
      s.deadlines.erase(s.deadlines.begin());
      look(index);
    }
    while (!s.waiting.empty() && s.waiting.begin()->first <= now_) {
      put_in_line(s, s.waiting.begin()->second);
      s.waiting.erase(s.waiting.begin());
    }
  }

  void launch() {
    State& s = step_.state;
    if (s.mode == Mode::running) {
      refuse_impossible();
      wake();  // the gate of a run that waited for one of these may be open now
    }
    while (s.mode == Mode::running && s.active < s.policy.slots && !s.ready.empty()) {
      const std::optional<std::size_t> index = next_in_line(s, now_);
      if (!index || !affordable(*index)) return;
      note_overtaken(s, *index, now_);
      RunNode& node = s.nodes[*index];
      take_out_of_line(s, *index);
      const Seat seat = s.room.find(need_of(node)).value();
      for (const auto& [gpu, share] : seat.gpus)
        node.gpus.push_back(s.room.capacity().gpus[gpu].uuid);
      sit_down(s, node, seat);
      node.state = RunState::active;
      node.overtaken = -1;
      s.under_way += node.counted ? node.flops_left : 0;
      ++s.active;
      ++s.active_wanted;
      step_.actions.push_back({.kind = ActionKind::launch, .node = *index});
      begin_deadlines(s, *index, now_);
    }
  }

  void ended(std::size_t index, const Ending& ending) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    if (node.state != RunState::active) return;
    --s.active;
    s.active_wanted -= node.wanted ? 1 : 0;
    stand_up(s, node);
    account(node, ending);
    const bool was_packed = packed(need_of(node));
    Verdict verdict = judge(s.policy, node, ending);
    if (!store::settled(verdict.state)) {
      if (node.cancelling)
        verdict = {RunState::cancelled, 0, "cancelled"};
      else if (!node.stopped_by.empty())
        verdict = {RunState::stopped, 0, node.stopped_by};
    }
    settle(index, verdict);
    look_at_the_sweep(index, ending, was_packed, verdict.state);
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
    node.spared = node.spared || node.state == RunState::stopped || !node.stopped_by.empty();
    node.stopped_by.clear();
    const bool has_result = node.state == RunState::done || node.state == RunState::diverged;
    if (node.state == RunState::active || has_result) return;
    forget(index);
    forgive(node);
    ask_again(step_.state, index);
    settle(index, {RunState::ready, 0, "retry asked for"});
  }

  // A run's held-out loss at so many tokens.
  void evaluated(std::size_t index, double tokens, double loss) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    if (!std::isfinite(loss)) return;
    std::optional<Standing> standing;
    if (node.contestant.bracket != kNoBracket)
      standing = s.brackets[node.contestant.bracket].reach(node.contestant, tokens, loss);
    if (tokens >= node.contestant.tokens) return;
    if (standing && standing->stops()) stop_early(index, describe(*standing));
    const double fraction = tokens / node.contestant.tokens;
    const std::optional<Foresight>& rule = s.sweeps[node.sweep].foresight;
    if (node.foreseen && rule && suffices(*rule, *node.foreseen, fraction, loss))
      stop_early(index, describe(*node.foreseen, fraction));
  }

  // The checkpoint that a run wants of a parent is there, or never will be.
  void hear_of(std::size_t index, std::size_t parent, Arrival arrival, const std::string& why) {
    State& s = step_.state;
    const auto gate = s.gates.find(index);
    if (gate == s.gates.end() || !s.nodes[index].blocked) return;
    gate->second.parents.at(parent).arrival = arrival;
    gate->second.parents.at(parent).why = why;
    look(index);
  }

  void interrupt() {
    stop(Mode::interrupted, StopCause::interrupt, "");
    for (std::size_t i = 0; i < step_.state.nodes.size(); ++i)
      if (step_.state.nodes[i].state == RunState::active)
        step_.actions.push_back({.kind = ActionKind::stop, .node = i});
  }

 private:
  // A rule wants the run to end, unless somebody needs it.
  void stop_early(std::size_t index, const std::string& why) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    const bool may = node.state == RunState::active && node.wanted && !node.cancelling &&
                     node.stopped_by.empty() && !node.spared;
    if (!may) return;
    for (const std::size_t child : children_of(s, index))
      if (s.blocked.contains(child)) return;
    node.stopped_by = "stopped early: " + why;
    step_.actions.push_back({.kind = ActionKind::decide, .node = index, .text = node.stopped_by});
    step_.actions.push_back({.kind = ActionKind::stop, .node = index});
  }

  // There is room in the budget. Where active runs may yet leave enough, the next one waits for
  // them.
  bool affordable(std::size_t index) {
    State& s = step_.state;
    const Caps& caps = s.policy.caps;
    if (!caps.any()) return true;
    const store::Usage next = expected(s.nodes[index].flops_left, s.used, s.speed);
    if (const std::string why = passed(caps, s.used, next); !why.empty()) {
      stop(Mode::draining,
           StopCause::budget,
           fmt::format("{}, and repeat the command; nothing more is started", why));
      return false;
    }
    store::Usage all = expected(s.under_way, s.used, s.speed);
    all += next;
    return passed(caps, s.used, all).empty();
  }

  // What an attempt used up. Work that a checkpoint does not hold is to be done again.
  void account(RunNode& node, const Ending& ending) {
    if (!node.counted) return;
    State& s = step_.state;
    s.under_way = std::max(0.0, s.under_way - node.flops_left);
    s.used += ending.used;
    if (ending.progressed) node.flops_left = std::max(0.0, node.flops_left - ending.used.flops);
  }

  // Runs that would wait for ever: no GPU is large enough.
  void refuse_impossible() {
    State& s = step_.state;
    std::vector<std::size_t> runs;
    for (const auto& [lane, line] : s.ready)
      if (!s.room.possible(lane.need)) runs.insert(runs.end(), line.begin(), line.end());
    for (const std::size_t index : runs) {
      take_out_of_line(s, index);
      settle(index,
             {RunState::invalid,
              0,
              fmt::format("asks for {}, and there is none so large here",
                          describe_gpus(need_of(s.nodes[index])))});
      ++s.failures;
    }
  }

  void forget(std::size_t index) {
    take_out_of_line(step_.state, index);
    step_.state.waiting.erase({step_.state.nodes[index].not_before, index});
    leave_gate(step_.state, index);
  }

  // At what a run waits for, once more.
  void look(std::size_t index) {
    State& s = step_.state;
    if (!s.blocked.contains(index)) return;
    Gate& gate = s.gates.at(index);
    extend(s, index, now_);
    const GateView view = look_at(gate, now_, held_parents(s, gate));
    switch (view.state) {
      case GateView::State::awaits:
        if (s.stalled.erase(index) == 0) return;
        step_.actions.push_back({.kind = ActionKind::record,
                                 .node = index,
                                 .state = RunState::ready,
                                 .text = describe(gate)});
        look_at_children(index);
        return;
      case GateView::State::stalled:
        stall(index, view.why);
        return;
      case GateView::State::open:
        leave_gate(s, index);
        s.nodes[index].blocked = false;
        settle(index, {RunState::ready, 0, ""});
        return;
      case GateView::State::shut:
        leave_gate(s, index);
        settle(index, {RunState::skipped, 0, view.why});
        return;
    }
  }

  void stall(std::size_t index, const std::string& why) {
    State& s = step_.state;
    if (!s.stalled.insert(index).second) return;
    step_.actions.push_back({.kind = ActionKind::record,
                             .node = index,
                             .state = RunState::ready,
                             .text = "stalled: " + why});
    step_.actions.push_back(
        {.kind = ActionKind::say,
         .text = fmt::format("run {} is stalled: {}; a retry of those that failed lets it go on",
                             s.nodes[index].id.substr(0, 12),
                             why)});
    look_at_children(index);
  }

  void look_at_children(std::size_t index) {
    for (const std::size_t child : children_of(step_.state, index)) look(child);
  }

  // The run has another state. One that was skipped for want of it waits again.
  void tell_children(std::size_t index) {
    State& s = step_.state;
    for (const std::size_t child : children_of(s, index)) {
      if (!s.nodes[child].blocked) continue;
      const bool comes_again = judge_arrivals(s, child, index);
      if (comes_again && s.nodes[child].state == RunState::skipped)
        settle(child,
               {RunState::ready,
                0,
                fmt::format("run {} is tried again", s.nodes[index].id.substr(0, 12))});
      else
        look(child);
    }
  }

  void settle(std::size_t index, const Verdict& verdict) {
    State& s = step_.state;
    RunNode& node = s.nodes[index];
    node.state = verdict.state;
    node.overtaken = -1;
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
    tell_children(index);
    look(index);
  }

  void look_at_the_sweep(std::size_t index,
                         const Ending& ending,
                         bool was_packed,
                         RunState outcome) {
    State& s = step_.state;
    if (ending.never_started) {
      // Once tells nothing: a scheduler that is killed leaves attempts that never began.
      if (fruitless_starts(s.nodes[index]) > 1) s.recent.push_back("never began");
    } else {
      s.recent.push_back(tells_of_trouble(ending, was_packed) ? store::name(ending.failure) : "");
    }
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
    if (s.recent.size() < kRecent) return;
    const std::string_view failure = s.recent.back();  // a good end says that it goes again
    const auto alike = std::count(s.recent.begin(), s.recent.end(), failure);
    if (failure.empty() || static_cast<std::size_t>(alike) <= kRecent / 2) return;
    stop(Mode::draining,
         StopCause::alike,
         fmt::format("{} of the last {} attempts failed alike ({}): nothing more is started "
                     "(--keep-going goes on)",
                     alike,
                     kRecent,
                     failure));
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
  state.under_way = 0;
  state.counted = std::max(state.counted, now);
  state.room = Occupancy(state.room.capacity());
  for (SweepShare& sweep : state.sweeps) sweep.active = 0;
  for (std::size_t i = 0; i < state.nodes.size(); ++i) {
    const RunNode& node = state.nodes[i];
    if (node.state == RunState::active) {
      ++state.active;
      state.active_wanted += node.wanted ? 1 : 0;
      state.under_way += node.counted ? node.flops_left : 0;
      sit_down(state, node, state.room.seat_of(need_of(node), node.gpus));
    } else if (node.state == RunState::ready && node.wanted) {
      if (node.blocked)
        state.blocked.insert(i);
      else if (node.not_before > now)
        state.waiting.insert({node.not_before, i});
      else
        put_in_line(state, i);
    }
  }
  prepare_gates(state, now);
  return state;
}

Step transition(State state, const MachineEvent& event, double now) {
  Transition transition(std::move(state), now);
  transition.count_use();
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
    case EventKind::arrived:
      transition.hear_of(event.node, event.parent, Arrival::here, "");
      break;
    case EventKind::missing:
      transition.hear_of(event.node, event.parent, Arrival::absent, event.ending.detail);
      break;
    case EventKind::evaluated:
      transition.evaluated(event.node, event.tokens, event.loss);
      break;
  }
  transition.wake();
  transition.launch();
  return std::move(transition).finish();
}

bool finished(const State& state) {
  // After an interrupt all were asked to leave, and are waited for.
  if (state.mode == Mode::interrupted ? state.active > 0 : state.active_wanted > 0) return false;
  return state.mode != Mode::running || (state.ready.empty() && state.waiting.empty() &&
                                         state.blocked.size() == state.stalled.size());
}

double next_start(const State& state) {
  double next = std::numeric_limits<double>::infinity();
  if (state.mode != Mode::running) return next;
  if (!state.waiting.empty()) next = state.waiting.begin()->first;
  if (!state.deadlines.empty()) next = std::min(next, state.deadlines.begin()->first);
  return next;
}

}  // namespace ration::scheduler
