// Early stopping: the machine hears held-out losses, and what it decides is written down before the
// worker is told.

#include <fmt/format.h>

#include <algorithm>

#include "base/fault.h"
#include "scheduler/engine.h"

namespace ration::scheduler {

Result<void> Engine::look_at_evaluations(std::size_t node) {
  const RunNode& watched = state_.nodes[node];
  if (watched.contestant.bracket == kNoBracket && !watched.foreseen) return {};
  Result<std::vector<store::Evaluation>> news =
      writer_.evaluations(tracked_[node].id, tracked_[node].evaluated_step);
  if (!news) return std::move(news).error();
  for (const store::Evaluation& each : *news) {
    tracked_[node].evaluated_step = each.step;
    if (Result<void> done = feed(
            {.kind = EventKind::evaluated, .node = node, .tokens = each.tokens, .loss = each.loss});
        !done)
      return done;
  }
  return {};
}

// The mark in the run's folder is the truth: whoever comes after us finds it, and the worker gone.
Result<void> Engine::decide(const Action& action) {
  const Tracked& run = tracked_[action.node];
  const Result<void> marked =
      mark_stopped(files_, folder_of(action.node), clock_.unix_seconds(), action.text);
  if (!marked) return marked;
  fault_point("stop-after-mark");
  const auto live = std::find_if(live_.begin(), live_.end(), [&](const auto& entry) {
    return entry.second.node == action.node;
  });
  const std::optional<std::int64_t> attempt =
      live == live_.end() ? std::nullopt : std::optional(live->first);
  if (Result<void> done = writer_.note(run.run, attempt, "asked to stop", action.text); !done)
    return done;
  observer_.note(fmt::format("run {} is {}", run.id.substr(0, 12), action.text));
  return {};
}

}  // namespace ration::scheduler
