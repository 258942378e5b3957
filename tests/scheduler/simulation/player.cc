#include "scheduler/simulation/player.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scheduler/graph.h"

namespace ration::scheduler::simulation {
namespace {

constexpr double kTrunkPoll = 30;  // seconds between two looks at what branches wait for
constexpr double kLossPoll = 60;   // … at held-out losses
constexpr double kTenths = 10;     // of a run's work between two of these

// Purposes of draws; those of Story and Outside lie below.
enum : std::uint64_t {
  kPause = 200,
};

std::size_t index(int run) { return static_cast<std::size_t>(run); }

bool has_result(RunState state) { return state == RunState::done || state == RunState::diverged; }

}  // namespace

Played play(const Scenario& scenario, const Machine& machine) {
  const Story story(scenario);
  return Player(story, machine).play();
}

Player::Player(const Story& story, Machine machine)
    : story_(story),
      machine_(std::move(machine)),
      outside_(story),
      records_(story.runs().size()),
      promises_(story, outside_, records_),
      live_(story.runs().size()) {
  for (std::size_t i = 0; i < records_.size(); ++i) ids_.push_back(fmt::format("{:032x}", i));
}

// ---- The loop of time ---------------------------------------------------------------------------

Played Player::play() {
  // A history that takes longer than this waits for something that never comes.
  const std::int64_t most = 2000 + 200 * static_cast<std::int64_t>(records_.size());
  begin();
  while (promises_.violation().empty()) {
    if (!on_ && disturbed_ == story_.disturbances().size() && all_settled() &&
        outside_.next() == kNever) {
      promises_.at_the_end();
      break;
    }
    if (++events_ > most) promises_.broken("it does not come to an end");
    advance();
  }
  Played played{.violation = promises_.violation(),
                .at = now_,
                .events = events_,
                .launched = launched_,
                .stopped = stopped_,
                .met = met_};
  played.met.insert(outside_.met().begin(), outside_.met().end());
  return played;
}

bool Player::all_settled() const {
  const std::vector<bool> excused = hopeless(story_, records_);
  for (std::size_t i = 0; i < records_.size(); ++i)
    if (!store::settled(records_[i].state) && !excused[i]) return false;
  return true;
}

// The next thing that happens, whatever it is.
void Player::advance() {
  const double disturbance =
      disturbed_ < story_.disturbances().size() ? story_.disturbances()[disturbed_].at : kNever;
  double own = on_ ? next_start(state_) : all_settled() ? kNever : resumes_;
  if (on_ && !state_.blocked.empty()) own = std::min(own, next_trunks_);
  if (on_ && story_.halving() && state_.active > 0) own = std::min(own, next_losses_);
  const double next = std::min({disturbance, own, outside_.next()});
  if (next == kNever) return promises_.broken("runs wait for something that never comes");
  now_ = std::max(now_, next);
  if (next == disturbance) {
    const int which = static_cast<int>(disturbed_++);
    if (story_.happens({.run = -1, .number = which}))
      disturb(which, story_.disturbances()[index(which)]);
  } else if (next == outside_.next()) {
    if (const std::optional<int> attempt = outside_.happen()) report(*attempt);
  } else if (!on_) {
    begin();
  }
  if (on_) {
    look_at_trunks();
    look_at_all_losses();
    feed({.kind = EventKind::tick});
    if (steps_to_live_ != 0) promises_.after(state_, now_);
  }
  if (on_ && (steps_to_live_ == 0 || finished(state_))) command_ended();
}

// Killed, or nothing left to do: somebody repeats the command later, if there is.
void Player::command_ended() {
  on_ = false;
  steps_to_live_ = -1;
  resumes_ = now_ + 1 + 300 * story_.draw(kPause, static_cast<std::uint64_t>(events_));
}

void Player::disturb(int which, const Disturbance& disturbance) {
  const int run = static_cast<int>(disturbance.choice % records_.size());
  met_.insert({.run = -1, .number = which});
  switch (disturbance.kind) {
    case DisturbanceKind::cancel:
      if (has_result(stored(run).state)) return;
      stored(run).cancelled = true;
      if (on_)
        feed({.kind = EventKind::cancel, .node = index(run)});
      else if (stored(run).state != RunState::active)
        stored(run).state = RunState::cancelled;
      return;
    case DisturbanceKind::retry:
      if (has_result(stored(run).state) || stored(run).state == RunState::active) return;
      stored(run).cancelled = false;
      stored(run).spared = stored(run).spared || stored(run).stopped;
      stored(run).stopped = false;
      stored(run).forgiven = static_cast<int>(stored(run).attempts.size());
      promises_.at_retry(run);
      if (on_)
        feed({.kind = EventKind::retry, .node = index(run)});
      else
        stored(run).state = RunState::ready;
      stored(run).not_before = 0;
      return;
    case DisturbanceKind::interrupt:
      if (on_) feed({.kind = EventKind::interrupt});
      return;
    case DisturbanceKind::crash:
      if (on_) steps_to_live_ = static_cast<int>(disturbance.size * 5);
      return;
    case DisturbanceKind::node_death:
      return outside_.kill_host(
          static_cast<int>(disturbance.choice % static_cast<std::uint64_t>(story_.hosts())), now_);
    case DisturbanceKind::disk_full:
      return outside_.fill_disk(now_ + 600 * disturbance.size, now_);
    case DisturbanceKind::preemption:
      for (const StoredAttempt& attempt : stored(run).attempts)
        if (attempt.process >= 0) outside_.preempt(attempt.process, now_);
      return;
  }
}

// ---- What the engine does -----------------------------------------------------------------------

bool Player::survives() {
  if (steps_to_live_ == 0) return false;
  if (steps_to_live_ > 0) --steps_to_live_;
  return steps_to_live_ != 0;
}

// A restart knows what was written, what lies in the folders, and nothing else.
void Player::begin() {
  on_ = true;
  queue_.clear();
  std::fill(live_.begin(), live_.end(), 0);
  state_ = {};
  state_.policy = story_.policy();
  if (now_ >= story_.calm()) state_.policy.caps = {};
  state_.speed = story_.speed();
  state_.room = Occupancy(story_.capacity());
  state_.sweeps.clear();
  for (const double weight : story_.weights())
    state_.sweeps.push_back({.weight = weight, .foresight = story_.foresight()});
  for (std::size_t i = 0; i < story_.brackets(); ++i)
    state_.brackets.emplace_back(*story_.halving());
  for (int run = 0; run < static_cast<int>(records_.size()); ++run) {
    StoredRun& known = stored(run);
    RunNode node;
    node.id = ids_[index(run)];
    const bool alive = std::any_of(known.attempts.begin(),
                                   known.attempts.end(),
                                   [](const StoredAttempt& attempt) { return !attempt.ended; });
    if (known.state == RunState::active && !alive) known.state = RunState::ready;
    if (known.state != RunState::active && outside_.result(run))
      known.state = *outside_.result(run);
    else if (known.state != RunState::active && known.cancelled && !has_result(known.state))
      known.state = RunState::cancelled;
    else if (known.state == RunState::ready && known.stopped)
      known.state = RunState::stopped;
    node.state = known.state;
    node.cancelling = known.state == RunState::active && known.cancelled;
    if (known.state == RunState::active && known.stopped) node.stopped_by = "stopped early";
    node.spared = known.spared;
    node.foreseen = plan(run).foreseen;
    node.contestant = {.bracket = plan(run).bracket,
                       .configuration = plan(run).configuration,
                       .tokens = plan(run).work_seconds};
    for (std::size_t i = 0; i < known.losses.size(); ++i)
      state_.brackets[plan(run).bracket].reach(
          node.contestant,
          static_cast<double>(i + 1) / kTenths * plan(run).work_seconds,
          known.losses[i]);
    node.not_before = known.not_before;
    node.need = plan(run).need;
    node.sweep = plan(run).sweep;
    node.priority = plan(run).priority;
    if (alive) node.gpus = known.attempts.back().gpus;
    for (const StoredAttempt& attempt : known.attempts)
      if (attempt.ended && attempt.number > known.forgiven && !attempt.ending.never_started)
        charge(node, attempt.ending);
    for (const StoredAttempt& attempt : known.attempts)
      if (attempt.ended) state_.used += attempt.ending.used;
    node.flops_left = plan(run).work_seconds;
    if (!alive) node.flops_left -= outside_.saved(run, now_);
    state_.nodes.push_back(std::move(node));
  }
  if (!connect(state_, gates())) promises_.broken("the graph of runs is refused");
  state_ = prepare(std::move(state_), now_);
  promises_.at_begin(state_);
  next_trunks_ = 0;
  next_losses_ = 0;
  adopt();
}

// What runs wait for. Those that were skipped wait again where a parent may come.
std::map<std::size_t, Gate> Player::gates() {
  std::map<std::size_t, Gate> all;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const RunPlan& run = story_.runs()[i];
    if (run.gate && records_[i].attempts.empty()) all[i] = *run.gate;
    if (run.trunk >= 0) all[i].parents = {{.node = index(run.trunk), .wants = Wants::checkpoint}};
    const auto gate = all.find(i);
    if (gate == all.end() || records_[i].state != RunState::skipped) continue;
    for (const Parent& parent : gate->second.parents)
      if (!store::settled(records_[parent.node].state))
        records_[i].state = state_.nodes[i].state = RunState::ready;
  }
  return all;
}

void Player::adopt() {
  for (int run = 0; run < static_cast<int>(records_.size()); ++run) {
    if (stored(run).attempts.empty() || stored(run).attempts.back().ended) continue;
    const StoredAttempt& attempt = stored(run).attempts.back();
    live_[index(run)] = attempt.number;
    if (attempt.process < 0 || !outside_.seems_alive(attempt.process)) {
      conclude(run);
    } else if (state_.nodes[index(run)].cancelling || stored(run).stopped) {
      outside_.stop(attempt.process, now_);
    }
  }
}

std::vector<Action> Player::ask(const MachineEvent& event) {
  Step step = machine_(std::move(state_), event, now_);
  state_ = std::move(step.state);
  promises_.of_step(step.actions, state_, now_);
  return std::move(step.actions);
}

void Player::feed(const MachineEvent& event) {
  queue_.push_back(event);
  while (!queue_.empty() && steps_to_live_ != 0 && promises_.violation().empty()) {
    const MachineEvent next = queue_.front();
    queue_.erase(queue_.begin());
    for (const Action& action : ask(next)) perform(action);
  }
}

void Player::perform(const Action& action) {
  const int run = static_cast<int>(action.node);
  switch (action.kind) {
    case ActionKind::launch:
      if (steps_to_live_ != 0) launch(run);
      return;
    case ActionKind::stop:
      if (live_[action.node] > 0 && stored(run).attempts.back().process >= 0)
        outside_.stop(stored(run).attempts.back().process, now_);
      return;
    case ActionKind::decide:
      if (!survives()) return;
      stored(run).stopped = true;
      promises_.at_decision(run);
      return;
    case ActionKind::record:
      if (survives()) write(run, action);
      return;
    case ActionKind::say:
      return;
  }
}

void Player::write(int run, const Action& action) {
  if (action.state == RunState::stopped) {
    ++stopped_;
    promises_.at_stop(run);
  }
  stored(run).state = action.state;
  stored(run).not_before = action.delay > 0 ? now_ + action.delay : 0;
}

void Player::launch(int run) {
  promises_.at_launch(run, state_, now_);
  if (outside_.disk_is_full(now_)) {
    const Ending ending{.failure = FailureClass::disk};
    queue_.push_back({.kind = EventKind::ended, .node = index(run), .ending = ending});
    return;
  }
  if (!survives()) return;
  std::vector<StoredAttempt>& attempts = stored(run).attempts;
  const int number = static_cast<int>(attempts.size()) + 1;
  const RunNode& node = state_.nodes[index(run)];
  attempts.push_back({.number = number, .need = need_of(node), .gpus = node.gpus});
  stored(run).state = RunState::active;
  stored(run).not_before = 0;
  live_[index(run)] = number;
  promises_.take(attempts.back());
  if (!survives()) return;  // recorded, not started
  ++launched_;
  const Fate fate = story_.fate(run, number, now_);
  if (fate.kind == Fate::Kind::is_refused) {
    met_.insert({.run = run, .number = number});
    return conclude(run, true);
  }
  attempts.back().process = outside_.start(run, number, state_.nodes[index(run)].avoid, now_);
}

void Player::report(int attempt) {
  if (!on_) return;
  const Attempt& over = outside_.attempt(attempt);
  if (live_[index(over.run)] == over.number) return conclude(over.run);
  // Heard before, or of an attempt that another one has replaced: nothing may come of it.
  if (state_.nodes[index(over.run)].state != RunState::active)
    feed({.kind = EventKind::ended, .node = index(over.run), .ending = over.ending});
}

void Player::conclude(int run, bool not_startable) {
  live_[index(run)] = 0;
  StoredAttempt& attempt = stored(run).attempts.back();
  Ending ending{.never_started = true};
  if (not_startable)
    ending = {.failure = FailureClass::bug};
  else if (attempt.process >= 0)
    ending = outside_.outcome(attempt.process);
  if (attempt.process >= 0) {
    const Attempt& over = outside_.attempt(attempt.process);
    const double seconds = std::max(0.0, std::min(now_, over.ends) - over.began);
    ending.used = {.flops = seconds, .seconds = seconds};
  }
  const std::vector<Action> actions =
      ask({.kind = EventKind::ended, .node = index(run), .ending = ending});
  bool recorded = false;
  for (const Action& action : actions) {
    const bool own = !recorded && action.kind == ActionKind::record && action.node == index(run);
    if (!own) {
      perform(action);
      continue;
    }
    recorded = true;
    if (!survives()) continue;
    // One transaction.
    attempt.ended = true;
    attempt.ending = ending;
    promises_.leave(attempt);
    attempt.ending.never_started |= not_startable;  // a restart finds nothing of it
    write(run, action);
    promises_.at_end(run, ending, not_startable);
    if (action.state == RunState::failed || action.state == RunState::invalid)
      promises_.at_failure(run);
  }
  if (!recorded) promises_.broken(fmt::format("run {} ended and nothing was recorded", run));
  next_trunks_ = 0;
  look_at_losses(run);
  feed({.kind = EventKind::tick});
}

void Player::look_at_all_losses() {
  if (!story_.halving() || now_ < next_losses_) return;
  next_losses_ = now_ + kLossPoll;
  for (int run = 0; run < static_cast<int>(records_.size()); ++run)
    if (live_[index(run)] > 0) look_at_losses(run);
}

// Reading a log and remembering what it said is one step.
void Player::look_at_losses(int run) {
  if (plan(run).bracket == kNoBracket) return;
  const double tenth = plan(run).work_seconds / kTenths;
  for (auto known = static_cast<double>(stored(run).losses.size());
       known < kTenths && (known + 1) * tenth <= outside_.logged(run, now_) && survives();
       ++known) {
    const double loss = plan(run).loss + std::exp(-known);
    stored(run).losses.push_back(loss);
    const std::vector<std::size_t> children = children_of(state_, index(run));
    const bool awaited = std::any_of(children.begin(), children.end(), [&](std::size_t child) {
      return state_.blocked.contains(child);
    });
    feed({.kind = EventKind::evaluated,
          .node = index(run),
          .tokens = (known + 1) * tenth,
          .loss = loss});
    if (steps_to_live_ != 0) promises_.at_evaluation(run, awaited, state_);
  }
}

void Player::look_at_trunks() {
  if (state_.blocked.empty() || now_ < next_trunks_) return;
  next_trunks_ = now_ + kTrunkPoll;
  const std::vector<std::size_t> blocked(state_.blocked.begin(), state_.blocked.end());
  for (const std::size_t node : blocked) {
    const RunPlan& branch = plan(static_cast<int>(node));
    if (branch.trunk < 0) continue;
    const RunNode& trunk = state_.nodes[index(branch.trunk)];
    if (outside_.saved(branch.trunk, now_) >= branch.trunk_seconds)
      feed({.kind = EventKind::arrived, .node = node});
    else if (trunk.state != RunState::active && trunk.state != RunState::ready)
      feed({.kind = EventKind::missing, .node = node, .ending = {.detail = "its trunk is gone"}});
  }
}

}  // namespace ration::scheduler::simulation
