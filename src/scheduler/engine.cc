#include "scheduler/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace ration::scheduler {
namespace {

constexpr double kLeaseSeconds = 10;  // between renewals; others wait for 60

Error interrupted_by(Error error) {
  return std::move(error).with_context(
      "the sweep stopped here; active runs go on by themselves, the same command continues it");
}

}  // namespace

Engine::Engine(store::Writer& writer,
               Executor& executor,
               Files& files,
               Clock& clock,
               Observer& observer,
               StopSignals* signals,
               const EngineOptions& options)
    : writer_(writer),
      executor_(executor),
      files_(files),
      clock_(clock),
      observer_(observer),
      signals_(signals),
      options_(options) {}

Result<EngineEnd> Engine::run(State state, std::vector<Tracked> tracked) {
  started_ = clock_.monotonic_seconds();
  state_ = prepare(std::move(state), started_);
  tracked_ = std::move(tracked);
  for (std::size_t i = 0; i < tracked_.size(); ++i) node_by_id_[tracked_[i].id] = i;
  const auto step = [&]() -> Result<void> {
    if (Result<void> done = look_at_signals(); !done) return done;
    if (Result<void> done = look_at_time(); !done) return done;
    if (Result<void> done = look_at_requests(); !done) return done;
    if (Result<void> done = look_at_checkpoints(); !done) return done;
    if (Result<void> done = feed({.kind = EventKind::tick}); !done) return done;
    if (finished(state_) || end_.left_at_once) return {};
    const double now = clock_.monotonic_seconds();
    const double pause =
        std::clamp(std::min(next_look_, next_start(state_)) - now, 0.0, options_.poll_seconds);
    Result<std::vector<std::int64_t>> ended =
        executor_.wait(pause, signals_ == nullptr ? -1 : signals_->descriptor());
    if (!ended) {
      if (Result<void> done = withdraw_unbegun(ended.error()); !done) return done;
      return std::move(ended).error();
    }
    const bool quiet = ended->empty() && end_.launched == launched_before_;
    launched_before_ = end_.launched;
    if (options_.detach && quiet) end_.left_at_once = true;
    for (const std::int64_t attempt : *ended)
      if (Result<void> done = conclude(attempt); !done) return done;
    enforce_stops();
    return look_at_logs();
  };

  if (Result<void> done = reconcile(); !done) return interrupted_by(std::move(done).error());
  if (Result<void> done = adopt(); !done) return interrupted_by(std::move(done).error());
  if (Result<void> done = judge_what_ended(); !done) return interrupted_by(std::move(done).error());
  if (Result<void> done = say_what_blocks(); !done) return interrupted_by(std::move(done).error());
  do {
    if (Result<void> done = step(); !done)
      return live_.empty() ? std::move(done).error() : interrupted_by(std::move(done).error());
  } while (!finished(state_) && !end_.left_at_once);
  report();
  end_.state = std::move(state_);
  end_.stop_requests = stop_requests_;
  return std::move(end_);
}

run::RunFolder Engine::folder_of(std::size_t node) const {
  return {files_, writer_.layout().run(tracked_[node].id)};
}

// ---- After a restart ----------------------------------------------------------------------------

// What happened in the folders while nobody watched: published results, people's marks. Nothing is
// started before all of it is known.
Result<void> Engine::reconcile() {
  requests_read_ = files_.size(writer_.layout().requests()).value_or(0);
  const Result<std::vector<std::string>> folders = files_.list(writer_.layout().runs());
  if (!folders) return folders.error();
  for (std::size_t i = 0; i < state_.nodes.size(); ++i) {
    RunNode& node = state_.nodes[i];
    if (node.state == RunState::done || node.state == RunState::diverged) continue;
    if (!std::binary_search(folders->begin(), folders->end(), tracked_[i].id)) continue;
    const run::RunFolder folder = folder_of(i);
    Result<void> done;
    if (node.state == RunState::active) {
      node.cancelling = marked_cancelled(files_, folder);
      node.stopped_by = stop_reason(files_, folder);
      continue;
    }
    const Published published = take_result(files_, folder);
    if (!published.note.empty()) observer_.note(published.note);
    if (published.result) {
      node.state = state_of_result(*published.result);
      done = writer_.set_result(tracked_[i].run, *published.result, {.state = node.state});
    } else if (node.state != RunState::cancelled && marked_cancelled(files_, folder)) {
      node.state = RunState::cancelled;
      done = writer_.update_run(tracked_[i].run,
                                {.state = RunState::cancelled, .reason = "cancelled"});
    } else if (node.state == RunState::ready && tracked_[i].attempts > 0) {
      const std::string reason = stop_reason(files_, folder);
      if (reason.empty()) continue;
      node.state = RunState::stopped;
      done = writer_.update_run(tracked_[i].run, {.state = RunState::stopped, .reason = reason});
    }
    if (!done) return done;
  }
  wait_again_for_retried();
  state_ = prepare(std::move(state_), clock_.monotonic_seconds());
  return {};
}

Result<void> Engine::adopt() {
  Result<std::vector<store::AttemptRow>> rows = writer_.live_attempts();
  if (!rows) return std::move(rows).error();
  std::unordered_map<std::int64_t, std::size_t> nodes;
  for (std::size_t i = 0; i < tracked_.size(); ++i) nodes[tracked_[i].run] = i;
  std::vector<store::PlacedAttempt> placed;
  for (const store::AttemptRow& row : *rows)
    if (const auto node = nodes.find(row.run); node != nodes.end())
      if (Result<void> done = adopt_one(row, node->second, placed); !done) return done;
  return writer_.place_attempts(placed);
}

Result<void> Engine::adopt_one(const store::AttemptRow& row,
                               std::size_t node,
                               std::vector<store::PlacedAttempt>& placed) {
  live_[row.id] = {.attempt = row.id, .node = node, .number = row.number, .token = row.token};
  const Launch launch{.attempt = row.id,
                      .run_folder = folder_of(node).path(),
                      .number = row.number,
                      .token = row.token};
  const Placement recorded{.host = row.host,
                           .process = {.boot = row.boot, .pid = row.pid, .start = row.pid_start}};
  Result<Sighting> sighting = executor_.find(launch, recorded);
  if (!sighting) return std::move(sighting).error();
  if (sighting->kind != Sighting::Kind::alive) return conclude(row.id);
  ++end_.adopted;
  if (state_.nodes[node].cancelling || !state_.nodes[node].stopped_by.empty()) stop(node);
  const Placement& placement = sighting->placement;
  placed.push_back({.attempt = row.id, .host = placement.host, .process = placement.process});
  return {};
}

// Ends that a command without judgement recorded, by what the user allows now.
Result<void> Engine::judge_what_ended() {
  for (std::size_t i = 0; i < tracked_.size(); ++i) {
    if (!options_.judges && !state_.nodes[i].cancelling) continue;
    if (const std::optional<Ending> ending = std::exchange(tracked_[i].unjudged, std::nullopt))
      if (Result<void> done = feed({.kind = EventKind::ended, .node = i, .ending = *ending}); !done)
        return done;
  }
  return {};
}

// Attempts that were recorded but could not be handed on are as if they had never been.
Result<void> Engine::withdraw_unbegun(const Error& error) {
  std::vector<std::int64_t> attempts;
  for (const auto& [attempt, live] : live_)
    if (!executor_.handed_on(attempt)) attempts.push_back(attempt);
  if (attempts.empty()) return {};
  for (const std::int64_t attempt : attempts) live_.erase(attempt);
  return writer_.withdraw_attempts(attempts, error.what);
}

// ---- The machine --------------------------------------------------------------------------------

Result<void> Engine::feed(const MachineEvent& event) {
  queue_.push_back(event);
  while (!queue_.empty()) {
    const MachineEvent next = std::move(queue_.front());
    queue_.pop_front();
    Step step = transition(std::move(state_), next, clock_.monotonic_seconds());
    state_ = std::move(step.state);
    std::vector<std::size_t> to_start;
    for (const Action& action : step.actions)
      if (action.kind == ActionKind::launch)
        to_start.push_back(action.node);
      else if (Result<void> done = perform(action); !done)
        return done;
    if (Result<void> done = launch(to_start); !done) return done;
  }
  return {};
}

Result<void> Engine::perform(const Action& action) {
  switch (action.kind) {
    case ActionKind::launch:  // feed() takes these together
      return {};
    case ActionKind::stop:
      stop(action.node);
      return {};
    case ActionKind::decide:
      return decide(action);
    case ActionKind::record:
      return writer_.update_run(tracked_[action.node].run, update_of(action));
    case ActionKind::say:
      observer_.note(action.text);
      return {};
  }
  return {};
}

store::RunUpdate Engine::update_of(const Action& action) const {
  return {.state = action.state,
          .reason = action.text,
          .not_before = action.delay > 0 ? clock_.unix_seconds() + action.delay : 0};
}

// ---- The outside --------------------------------------------------------------------------------

// Commands beside us (`ration cancel`, `ration retry`) leave marks in run folders and a line here.
Result<void> Engine::look_at_requests() {
  const Path path = writer_.layout().requests();
  const std::uint64_t size = files_.size(path).value_or(0);
  if (size < requests_read_) requests_read_ = 0;  // emptied or replaced: what it holds is new
  if (size == requests_read_) return {};
  Result<std::string> text = files_.read_range(path, requests_read_, size - requests_read_);
  if (!text) return std::move(text).error();
  std::string_view rest = *text;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    requests_read_ += end + 1;
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::string id(line.substr(std::min(blank + 1, line.size())));
    const auto node = node_by_id_.find(id);
    const std::string_view verb = line.substr(0, blank);
    Result<void> done;
    if (node == node_by_id_.end()) {
      done = record_request(verb, id);
    } else {
      if (verb == "cancel") done = feed({.kind = EventKind::cancel, .node = node->second});
      if (verb == "retry") done = feed({.kind = EventKind::retry, .node = node->second});
    }
    if (!done) return done;
  }
  return {};
}

// Of a run that is not carried out here: nobody else may write what became of it.
Result<void> Engine::record_request(std::string_view verb, const std::string& id) {
  Result<store::RunRow> row = writer_.find_run(id);
  if (!row || row->state == RunState::active || row->state == RunState::done ||
      row->state == RunState::diverged)
    return {};
  if (verb == "cancel")
    return writer_.update_run(row->id, {.state = RunState::cancelled, .reason = "cancelled"});
  if (verb == "retry")
    return writer_.update_run(row->id, {.state = RunState::ready, .reason = "retry asked for"});
  return {};
}

Result<void> Engine::look_at_signals() {
  const int requests = signals_ == nullptr ? 0 : signals_->take();
  if (requests == 0) return {};
  stop_requests_ += requests;
  if (options_.leave_on_interrupt && state_.active > 0) {
    end_.left_at_once = true;
    observer_.note("left: submitted runs go on by themselves, the same command continues");
    return {};
  }
  if (stop_requests_ > 1) {
    end_.left_at_once = true;
    observer_.note("left at once; workers checkpoint by themselves, the same command continues");
  }
  if (state_.mode == Mode::interrupted) return {};
  if (state_.active > 0)
    observer_.note(fmt::format("stopping: {} active runs checkpoint first (again to leave at once)",
                               state_.active));
  return feed({.kind = EventKind::interrupt});
}

Result<void> Engine::look_at_time() {
  if (state_.mode == Mode::interrupted || clock_.unix_seconds() < options_.stop_at) return {};
  if (options_.leave_on_interrupt && state_.active > 0) {
    end_.left_at_once = true;
    return {};
  }
  return feed({.kind = EventKind::interrupt});
}

Result<void> Engine::look_at_logs() {
  const double now = clock_.monotonic_seconds();
  if (now >= next_lease_ || (unsynced_ && now >= next_look_)) {
    next_lease_ = now + kLeaseSeconds;
    if (Result<void> done = writer_.renew_lease(std::exchange(unsynced_, false)); !done)
      return done;
  }
  if (now < next_look_) return {};
  next_look_ = now + options_.poll_seconds;
  std::vector<std::int64_t> attempts;
  for (const std::int64_t attempt : executor_.begun())
    if (live_.contains(attempt)) attempts.push_back(attempt);
  if (!attempts.empty()) {
    Result<store::IngestSummary> taken = writer_.ingest(attempts);
    if (!taken) return std::move(taken).error();
    end_.damaged_lines += taken->damaged;
  }
  for (const std::int64_t attempt : attempts)
    if (const auto live = live_.find(attempt); live != live_.end())
      if (Result<void> done = look_at_evaluations(live->second.node); !done) return done;
  report();
  return {};
}

// ---- Active runs --------------------------------------------------------------------------------

void Engine::stop(std::size_t node) {
  for (auto& [attempt, live] : live_) {
    if (live.node != node || live.stop_asked != 0) continue;
    live.stop_asked = clock_.monotonic_seconds();
    executor_.stop(attempt, false);
  }
}

// A cancelled run that does not leave within the grace is ended. One that was interrupted or is
// stopped early is left alone: its checkpoint may take its time.
void Engine::enforce_stops() {
  const double now = clock_.monotonic_seconds();
  for (const auto& [attempt, live] : live_)
    if (live.stop_asked > 0 && now > live.stop_asked + options_.grace_seconds &&
        state_.nodes[live.node].cancelling)
      executor_.stop(attempt, true);
}

}  // namespace ration::scheduler
