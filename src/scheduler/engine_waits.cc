// What runs wait for, looked up in the store folder: checkpoints that others leave. Results need no
// look, the machine knows them.

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/engine.h"

namespace ration::scheduler {

// Runs that were skipped wait again once somebody had a parent retried. An older program called
// them failed.
void Engine::wait_again_for_retried() {
  for (const auto& [node, gate] : state_.gates) {
    RunNode& run = state_.nodes[node];
    const bool skipped =
        run.state == RunState::skipped ||
        (run.state == RunState::failed && run.blocked && !files_.exists(folder_of(node).path()));
    if (!skipped) continue;
    const bool comes =
        std::any_of(gate.parents.begin(), gate.parents.end(), [&](const Parent& parent) {
          return parent.node != kNobody && !store::settled(state_.nodes[parent.node].state);
        });
    if (comes) run.state = RunState::ready;
  }
}

// For people who ask why a run does not start.
Result<void> Engine::say_what_blocks() {
  for (const std::size_t node : state_.blocked)
    if (Result<void> done = writer_.update_run(
            tracked_[node].run,
            {.state = RunState::ready, .reason = describe(state_.gates.at(node))});
        !done)
      return done;
  return {};
}

// A checkpoint appears under its name when it is whole, so its folder is all there is to look for.
Result<void> Engine::look_at_checkpoints() {
  const double now = clock_.monotonic_seconds();
  if (state_.blocked.empty() || now < next_checkpoints_) return {};
  next_checkpoints_ = now + options_.poll_seconds;
  const std::vector<std::size_t> blocked(state_.blocked.begin(), state_.blocked.end());
  for (const std::size_t node : blocked) {
    const std::vector<Parent> parents = state_.gates.at(node).parents;
    for (std::size_t i = 0; i < parents.size(); ++i) {
      if (parents[i].wants != Wants::checkpoint || parents[i].arrival == Arrival::here) continue;
      if (Result<void> done = look_at_checkpoint(node, i, parents[i]); !done) return done;
    }
  }
  return {};
}

Result<void> Engine::look_at_checkpoint(std::size_t node, std::size_t place, const Parent& parent) {
  const run::RunFolder folder(files_, writer_.layout().run(parent.id));
  Result<std::optional<Path>> checkpoint = checkpoint_of(files_, folder, parent.step);
  if (!checkpoint) return std::move(checkpoint).error();
  if (*checkpoint) return feed({.kind = EventKind::arrived, .node = node, .parent = place});
  const std::string why = why_missing(parent);
  if (parent.arrival == Arrival::absent || why.empty()) return {};
  observer_.note(fmt::format(
      "run {} cannot begin with a checkpoint: {}", tracked_[node].id.substr(0, 12), why));
  return feed(
      {.kind = EventKind::missing, .node = node, .ending = {.detail = why}, .parent = place});
}

// Why a checkpoint will never come; empty while it may.
std::string Engine::why_missing(const Parent& parent) const {
  const std::string name = parent.id.substr(0, 12);
  const std::string kept_none = fmt::format(
      "{} {} is finished and kept no checkpoint of step {}", parent.called, name, parent.step);
  if (parent.node == kNobody) {
    const Result<store::RunRow> row = writer_.find_run(parent.id);
    return row && row->state == RunState::done
               ? kept_none
               : fmt::format("{} {} is not among the runs asked for", parent.called, name);
  }
  const RunNode& trunk = state_.nodes[parent.node];
  if (trunk.state == RunState::done) return kept_none;
  if (trunk.state == RunState::active || (trunk.state == RunState::ready && trunk.wanted))
    return {};
  return fmt::format("{} {} is {}", parent.called, name, store::name(trunk.state));
}

}  // namespace ration::scheduler
