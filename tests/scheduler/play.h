#pragma once

// Histories of the state machine, for tests.

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "scheduler/machine.h"

namespace ration::scheduler {

inline constexpr double kLong = 1000;  // seconds; longer than any wait

// A sweep that a test plays: every call is one event at time `now`.
class Play {
 public:
  explicit Play(std::size_t runs, Policy policy = {}) {
    state.policy = policy;
    for (std::size_t i = 0; i < runs; ++i) {
      RunNode node;
      node.id = fmt::format("{:032x}", i);
      state.nodes.push_back(node);
    }
    state = prepare(std::move(state), now);
  }

  void tick() { play({.kind = EventKind::tick}); }
  void end(std::size_t node, const Ending& ending = {}) {
    play({.kind = EventKind::ended, .node = node, .ending = ending});
  }
  void end(std::size_t node, FailureClass failure) { end(node, Ending{.failure = failure}); }
  void cancel(std::size_t node) { play({.kind = EventKind::cancel, .node = node}); }
  void retry(std::size_t node) { play({.kind = EventKind::retry, .node = node}); }
  void unblock(std::size_t node) { play({.kind = EventKind::arrived, .node = node}); }
  void forsake(std::size_t node, const std::string& why) {
    play({.kind = EventKind::missing, .node = node, .ending = {.detail = why}});
  }
  void evaluate(std::size_t node, double tokens, double loss) {
    play({.kind = EventKind::evaluated, .node = node, .tokens = tokens, .loss = loss});
  }
  void interrupt() { play({.kind = EventKind::interrupt}); }
  void wait(double seconds) {
    now += seconds;
    tick();
  }

  // What the last event made it say.
  std::string said() const {
    std::string all;
    for (const Action& action : actions)
      if (action.kind == ActionKind::say) all += action.text;
    return all;
  }
  // Why the last event gave a run its state.
  std::string reason(std::size_t node) const {
    for (const Action& action : actions)
      if (action.kind == ActionKind::record && action.node == node) return action.text;
    return "";
  }

  // Nodes of the last event's actions of one kind.
  std::vector<std::size_t> nodes(ActionKind kind) const {
    std::vector<std::size_t> found;
    for (const Action& action : actions)
      if (action.kind == kind) found.push_back(action.node);
    return found;
  }
  std::vector<std::size_t> launched() const { return nodes(ActionKind::launch); }
  std::vector<std::size_t> stopped() const { return nodes(ActionKind::stop); }
  RunState run(std::size_t node) const { return state.nodes[node].state; }

  State state;
  std::vector<Action> actions;  // of the last event
  double now = 0;

 private:
  void play(const MachineEvent& event) {
    Step step = transition(std::move(state), event, now);
    state = std::move(step.state);
    actions = std::move(step.actions);
  }
};

inline Policy slots(int n) {
  Policy policy;
  policy.slots = n;
  return policy;
}

}  // namespace ration::scheduler
