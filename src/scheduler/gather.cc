#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "scheduler/asked.h"
#include "scheduler/graph.h"

namespace ration::scheduler {

using store::RunRow;

namespace {

Result<void> add_node(const store::Writer& store,
                      Outside& outside,
                      const RunRow& row,
                      bool wanted,
                      std::size_t sweep,
                      Nodes& nodes) {
  Result<NodeAndTracked> both = restore(store, outside.files, outside.clock, row, wanted);
  if (!both) return std::move(both).error();
  both->node.sweep = sweep;
  nodes.state.nodes.push_back(std::move(both->node));
  nodes.tracked.push_back(std::move(both->tracked));
  return {};
}

}  // namespace

Result<Nodes> gather(const store::Writer& store,
                     Outside& outside,
                     const std::vector<Asked>& sweeps) {
  Nodes nodes;
  nodes.state.sweeps.clear();
  std::set<std::string> seen;
  for (std::size_t i = 0; i < sweeps.size(); ++i) {
    nodes.state.sweeps.push_back({.weight = sweeps[i].sweep->weight});
    for (const RunRow& row : sweeps[i].members)
      if (sweeps[i].wanted.contains(row.run) && seen.insert(row.run).second)
        if (Result<void> done = add_node(store, outside, row, true, i, nodes); !done)
          return std::move(done).error();
  }
  nodes.state.sweeps.emplace_back();
  Result<store::Progress> all = store.progress(std::nullopt);
  if (!all) return std::move(all).error();
  for (const RunRow& row : all->active)
    if (!seen.contains(row.run))
      if (Result<void> done = add_node(store, outside, row, false, sweeps.size(), nodes); !done)
        return std::move(done).error();
  return nodes;
}

Result<void> connect_parents(const store::Writer& store,
                             const std::vector<Asked>& sweeps,
                             Nodes& nodes) {
  std::unordered_map<std::string_view, std::size_t> nodes_by_id;
  for (std::size_t i = 0; i < nodes.tracked.size(); ++i)
    nodes_by_id.emplace(nodes.tracked[i].id, i);
  const auto node_of = [&](const std::string& id) {
    const auto found = nodes_by_id.find(id);
    return found == nodes_by_id.end() ? kNobody : found->second;
  };
  std::map<std::size_t, Gate> gates;
  for (const Asked& asked : sweeps)
    for (const PlannedRun& run : asked.all.runs) {
      const std::size_t node = node_of(run.id);
      if (node == kNobody) continue;
      Result<std::optional<Gate>> gate = gate_of(run, node_of, store);
      if (!gate) return std::move(gate).error();
      if (*gate) gates[node] = std::move(**gate);
    }
  return connect(nodes.state, std::move(gates));
}

Result<void> give_room(const store::Writer& store,
                       const std::vector<Asked>& sweeps,
                       const SweepOptions& options,
                       const Room& room,
                       Nodes& nodes) {
  nodes.state.policy.slots = room.slots;
  nodes.state.room = Occupancy(room.capacity);
  std::unordered_map<std::string_view, const PlannedRun*> planned;
  for (const Asked& asked : sweeps)
    for (const PlannedRun& run : asked.all.runs) planned.emplace(run.id, &run);
  for (std::size_t i = 0; i < nodes.tracked.size(); ++i) {
    RunNode& node = nodes.state.nodes[i];
    if (const auto found = planned.find(node.id); found != planned.end()) {
      node.need = need_of(found->second->execution, options, room);
      node.priority = found->second->priority;
      continue;
    }
    // Of another sweep, and alive.
    Result<run::RunFile> file = store.spec(nodes.tracked[i].run);
    if (!file) return std::move(file).error();
    node.need = need_of(file->execution, options, room);
  }
  return {};
}

Result<void> open_accounts(const store::Writer& store,
                           const std::vector<Asked>& sweeps,
                           Nodes& nodes) {
  std::unordered_map<std::string_view, double> left;  // by run-id
  std::vector<std::string> names;
  for (const Asked& asked : sweeps) {
    names.push_back(asked.sweep->name);
    for (const PlannedRun& run : asked.all.runs) left[run.id] = run.facts.flops;
  }
  for (const Asked& asked : sweeps)
    for (const RunRow& row : asked.members)
      // Of a living attempt nothing is in `used` yet.
      if (const auto found = left.find(row.run);
          found != left.end() && row.state != RunState::active)
        found->second = flops_left(row, found->second);
  for (RunNode& node : nodes.state.nodes) {
    const auto found = left.find(node.id);
    node.counted = found != left.end();
    if (node.counted) node.flops_left = found->second;
  }
  Result<store::Usage> used = store.usage_of_sweeps(names);
  if (!used) return std::move(used).error();
  nodes.state.used = *used;
  Result<store::Progress> progress = store.progress(std::nullopt);
  if (!progress) return std::move(progress).error();
  nodes.state.speed = progress->flops_per_second;
  return {};
}

Result<void> forgive_failures(Outside& outside, const Path& store, Nodes& nodes) {
  for (RunNode& node : nodes.state.nodes) {
    if (node.state != RunState::failed && node.state != RunState::invalid) continue;
    const run::RunFolder folder(outside.files, store::Layout{store}.run(node.id));
    if (Result<void> done = mark_retry(outside.files, folder, outside.clock.unix_seconds()); !done)
      return done;
    node.state = RunState::ready;
    forgive(node);
  }
  return {};
}

void tell_of_others(const Nodes& nodes, Observer& observer) {
  std::vector<std::string> others;
  for (const RunNode& node : nodes.state.nodes)
    if (!node.wanted && node.state == RunState::active) others.push_back(node.id.substr(0, 12));
  if (others.empty()) return;
  constexpr std::size_t kNamed = 5;
  const std::size_t named = std::min(kNamed, others.size());
  observer.note(fmt::format(
      "{} of another sweep, or of an older version of this one, {} alive and {} up slots until {} "
      "end{}: {}{}; `ration cancel RUN` ends one",
      counted(others.size(), "run"),
      others.size() == 1 ? "is" : "are",
      others.size() == 1 ? "takes" : "take",
      others.size() == 1 ? "its" : "their",
      others.size() == 1 ? "" : "s",
      fmt::join(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(named), ", "),
      others.size() > kNamed ? ", …" : ""));
}

}  // namespace ration::scheduler
