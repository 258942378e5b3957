// How far a sweep is, for whoever watches.

#include <algorithm>

#include "scheduler/engine.h"

namespace ration::scheduler {

void Engine::report() {
  Snapshot snapshot;
  double total = 0;
  double settled = 0;
  double in_vain = 0;  // of these, that will not come to a result
  for (std::size_t i = 0; i < state_.nodes.size(); ++i) {
    const RunNode& node = state_.nodes[i];
    if (!node.wanted) continue;
    ++snapshot.runs;
    total += tracked_[i].flops;
    if (store::settled(node.state)) {
      ++snapshot.settled;
      settled += tracked_[i].flops;
    }
    const bool failed = node.state == RunState::failed || node.state == RunState::invalid;
    snapshot.failed += failed ? 1 : 0;
    if (failed || node.state == RunState::cancelled || node.state == RunState::skipped)
      in_vain += tracked_[i].flops;
  }
  snapshot.active = state_.active_wanted;
  snapshot.waiting = static_cast<std::int64_t>(state_.waiting.size());
  double under_way = 0;
  for (const std::int64_t attempt : executor_.begun()) {
    const auto live = live_.find(attempt);
    if (live == live_.end()) continue;
    const Tracked& run = tracked_[live->second.node];
    const Result<store::RunRow> row = writer_.find_run(run.id);
    if (row && row->tokens > 0)
      under_way += std::min(1.0, row->tokens_seen / row->tokens) * run.flops;
  }
  const double now = clock_.monotonic_seconds();
  const double done = settled + under_way;
  if (!flops_at_start_) flops_at_start_ = done;
  const double speed = (done - *flops_at_start_) / std::max(1e-9, now - started_);
  if (total > 0)
    snapshot.fraction = (done - in_vain) / total;
  else if (snapshot.runs > 0)  // none of them trains
    snapshot.fraction = static_cast<double>(snapshot.settled) / static_cast<double>(snapshot.runs);
  if (speed > 0) snapshot.eta_seconds = std::max(0.0, total - done) / speed;
  observer_.progress(snapshot);
}

}  // namespace ration::scheduler
