#include "scheduler/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace ration::scheduler {
namespace {

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

std::string short_name(const State& state, std::size_t node) {
  return state.nodes[node].id.substr(0, 12);
}

std::optional<Error> problem_of(const State& state, std::size_t node, const Gate& gate) {
  if (node >= state.nodes.size())
    return wrong(fmt::format("there is no run {} to wait", node), "add it to the nodes first");
  const std::string name = short_name(state, node);
  if (gate.parents.empty())
    return wrong(fmt::format("run {} waits for nobody", name), "leave its gate out");
  if (gate.quorum > gate.parents.size())
    return wrong(fmt::format("run {} needs {} of {} runs", name, gate.quorum, gate.parents.size()),
                 "at most all of them; 0 means all");
  if (!(gate.deadline_seconds > 0))
    return wrong(fmt::format("run {} has a deadline of {} s", name, gate.deadline_seconds),
                 "allowed: above 0; infinity is no deadline");
  std::set<std::size_t> seen;
  for (const Parent& parent : gate.parents) {
    if (parent.node == kNobody) continue;
    if (parent.node >= state.nodes.size())
      return wrong(fmt::format("run {} waits for run {}, which is none", name, parent.node),
                   "add it to the nodes first");
    if (!seen.insert(parent.node).second)
      return wrong(
          fmt::format("run {} waits twice for run {}", name, short_name(state, parent.node)),
          "name each parent once");
  }
  return std::nullopt;
}

// Runs that wait for one another, in their order; empty when there are none.
std::vector<std::size_t> circle(const std::map<std::size_t, Gate>& gates) {
  std::set<std::size_t> cleared;
  for (const auto& [start, ignored] : gates) {
    std::vector<std::pair<std::size_t, std::size_t>> path = {{start, 0}};  // node, next parent
    std::set<std::size_t> on_path = {start};
    while (!path.empty()) {
      auto& [node, next] = path.back();
      const auto gate = gates.find(node);
      if (cleared.contains(node) || gate == gates.end() || next == gate->second.parents.size()) {
        cleared.insert(node);
        on_path.erase(node);
        path.pop_back();
        continue;
      }
      const std::size_t parent = gate->second.parents[next++].node;
      if (on_path.insert(parent).second) {
        path.emplace_back(parent, 0);
        continue;
      }
      std::vector<std::size_t> found;
      for (const auto& [member, skipped] : path)
        if (!found.empty() || member == parent) found.push_back(member);
      return found;
    }
  }
  return {};
}

void judge_arrival(const RunNode& node, Parent& parent) {
  const bool settled = store::settled(node.state);
  if (parent.wants == Wants::checkpoint) {
    // Whether it left one is told from outside; one that is tried again may yet.
    if (!settled && parent.arrival == Arrival::absent) parent.arrival = Arrival::awaited;
    return;
  }
  const bool comes =
      node.state == RunState::active || (node.state == RunState::ready && node.wanted);
  parent.arrival = node.state == RunState::done ? Arrival::here
                   : comes                      ? Arrival::awaited
                                                : Arrival::absent;
  if (parent.arrival != Arrival::absent) return;
  const std::string_view state = settled ? store::name(node.state) : "not asked for";
  parent.why = fmt::format("run {} is {}", node.id.substr(0, 12), state);
}

}  // namespace

Result<void> connect(State& state, std::map<std::size_t, Gate> gates) {
  for (auto& [node, gate] : gates) {
    if (std::optional<Error> problem = problem_of(state, node, gate)) return std::move(*problem);
    for (Parent& parent : gate.parents)
      if (parent.node != kNobody) parent.id = state.nodes[parent.node].id;
  }
  std::map<std::size_t, Gate> all = state.gates;
  for (auto& [node, gate] : gates) all[node] = std::move(gate);
  if (const std::vector<std::size_t> runs = circle(all); !runs.empty()) {
    std::string text;
    for (const std::size_t node : runs) text += short_name(state, node) + " waits for ";
    return wrong(fmt::format("runs wait for one another: {}{}", text, short_name(state, runs[0])),
                 "none of them could ever begin; leave one of these out");
  }
  for (const auto& [node, gate] : gates) {
    const RunState now = state.nodes[node].state;
    state.nodes[node].blocked =
        now != RunState::active && now != RunState::done && now != RunState::diverged;
  }
  state.gates = std::move(all);
  return {};
}

void prepare_gates(State& state, double now) {
  state.children.clear();
  state.stalled.clear();
  state.deadlines.clear();
  state.look_again = true;
  for (auto& [node, gate] : state.gates) {
    bool begun = false;
    for (Parent& parent : gate.parents) {
      if (parent.node == kNobody) continue;
      state.children[parent.node].push_back(node);
      const RunNode& run = state.nodes[parent.node];
      if (state.nodes[node].blocked) judge_arrival(run, parent);
      begun = begun || run.state == RunState::active || run.state == RunState::done;
    }
    if (!state.nodes[node].blocked) continue;
    if (begun && std::isinf(gate.deadline)) gate.deadline = now + gate.deadline_seconds;
    if (gate.deadline > now && std::isfinite(gate.deadline))
      state.deadlines.insert({gate.deadline, node});
  }
}

std::vector<std::size_t> children_of(const State& state, std::size_t node) {
  const auto found = state.children.find(node);
  return found == state.children.end() ? std::vector<std::size_t>() : found->second;
}

bool judge_arrivals(State& state, std::size_t node, std::size_t parent) {
  bool comes_again = false;
  for (Parent& each : state.gates.at(node).parents) {
    if (each.node != parent) continue;
    const Arrival before = each.arrival;
    judge_arrival(state.nodes[parent], each);
    comes_again |= before == Arrival::absent && each.arrival == Arrival::awaited;
  }
  return comes_again;
}

void leave_gate(State& state, std::size_t node) {
  if (state.blocked.erase(node) == 0) return;
  state.stalled.erase(node);
  state.deadlines.erase({state.gates.at(node).deadline, node});
}

void ask_again(State& state, std::size_t node) {
  const auto gate = state.gates.find(node);
  if (gate == state.gates.end() || !state.nodes[node].blocked) return;
  for (Parent& parent : gate->second.parents)
    if (parent.wants == Wants::checkpoint && parent.arrival == Arrival::absent)
      parent.arrival = Arrival::awaited;
}

void extend(State& state, std::size_t node, double now) {
  Gate& gate = state.gates.at(node);
  if (gate.on_stall != OnStall::extend || now < gate.deadline || arrived(gate) >= needed(gate))
    return;
  gate.deadline = now + gate.deadline_seconds;
  state.deadlines.insert({gate.deadline, node});
}

std::size_t held_parents(const State& state, const Gate& gate) {
  return static_cast<std::size_t>(
      std::count_if(gate.parents.begin(), gate.parents.end(), [&](const Parent& parent) {
        return parent.arrival == Arrival::awaited && state.stalled.contains(parent.node);
      }));
}

void begin_deadlines(State& state, std::size_t parent, double now) {
  const auto children = state.children.find(parent);
  if (children == state.children.end()) return;
  for (const std::size_t child : children->second) {
    Gate& gate = state.gates.at(child);
    if (!state.nodes[child].blocked || std::isfinite(gate.deadline) ||
        std::isinf(gate.deadline_seconds))
      continue;
    gate.deadline = now + gate.deadline_seconds;
    state.deadlines.insert({gate.deadline, child});
  }
}

}  // namespace ration::scheduler
