#include "scheduler/simulation/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace ration::scheduler::simulation {
namespace {

constexpr int kRecountEvery = 50;  // events between two counts of everything
constexpr int kFruitless = 5;      // starts in a row that may come to nothing

}  // namespace

Promises::Promises(const Story& story, const Outside& outside, const Records& records)
    : story_(&story),
      outside_(&outside),
      records_(&records),
      fruitless_(story.runs().size()),
      refused_(story.runs().size()) {}

void Promises::broken(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

std::string Promises::exhausted(int run) const {
  using enum FailureClass;
  const Policy& policy = story_->policy();
  const std::map<FailureClass, int> retries = {{config, 0},
                                               {data, 0},
                                               {out_of_memory, 1},
                                               {killed, policy.retries_killed},
                                               {timeout, policy.retries_killed},
                                               {bug, policy.retries_bug},
                                               {fenced, policy.retries_bug},
                                               {oom_host, 2},
                                               {node_failure, 3}};
  std::map<FailureClass, int> seen = {{bug, refused_[static_cast<std::size_t>(run)]}};
  int at_start = 0;
  for (const StoredAttempt& attempt : stored(run).attempts) {
    const Ending& ending = attempt.ending;
    if (attempt.number <= stored(run).forgiven || !attempt.ended || ending.never_started) continue;
    if (ending.failure == timeout && ending.progressed)
      seen[timeout] = 0;
    else
      ++seen[ending.failure];
    at_start += ending.failure == bug && ending.at_start ? 1 : 0;
  }
  for (const auto& [failure, allowed] : retries)
    if (seen[failure] > allowed)
      return fmt::format("{} times {}", seen[failure], store::name(failure));
  if (at_start >= 2) return "twice before the first step";
  if (fruitless_[static_cast<std::size_t>(run)] > kFruitless) return "never started";
  return "";
}

void Promises::at_begin(const State& state) {
  std::fill(fruitless_.begin(), fruitless_.end(), 0);
  std::fill(refused_.begin(), refused_.end(), 0);
  if (state.active > story_->policy().slots)
    broken(fmt::format(
        "{} runs are active after a restart, {} may", state.active, story_->policy().slots));
}

void Promises::of_step(const std::vector<Action>& actions, const State& state) {
  const bool launches = std::any_of(actions.begin(), actions.end(), [](const Action& action) {
    return action.kind == ActionKind::launch;
  });
  if (launches && state.mode != Mode::running)
    broken("a run is started while nothing more is to be started");
}

void Promises::at_launch(int run, const State& state, double now) {
  const StoredRun& known = stored(run);
  const auto say = [&](std::string_view what) {
    broken(fmt::format("run {} is started {}", run, what));
  };
  if (known.state == RunState::done || known.state == RunState::diverged)
    say("although it has a result");
  if (known.state == RunState::cancelled || known.cancelled) say("although it was cancelled");
  if (known.state == RunState::invalid || known.state == RunState::failed)
    say("although it was given up");
  for (const StoredAttempt& attempt : known.attempts)
    if (!attempt.ended) say(fmt::format("beside its attempt {}", attempt.number));
  for (const StoredAttempt& attempt : known.attempts)
    if (attempt.process >= 0 && outside_->seems_alive(attempt.process))
      say(fmt::format("while its attempt {} lives", attempt.number));
  if (now < known.not_before - 1e-6)
    say(fmt::format("{:.1f} s before its wait is over", known.not_before - now));
  if (const std::string why = exhausted(run); !why.empty())
    say(fmt::format("although its tries are used up ({})", why));
  const RunPlan& plan = story_->runs()[static_cast<std::size_t>(run)];
  if (plan.trunk >= 0 && outside_->saved(plan.trunk, now) < plan.trunk_seconds)
    say("before the checkpoint that it begins with is there");
  for (const StoredAttempt& attempt : known.attempts) {
    const Ending& ending = attempt.ending;
    const std::vector<std::string>& avoid = state.nodes[static_cast<std::size_t>(run)].avoid;
    if (attempt.ended && attempt.number > known.forgiven &&
        ending.failure == FailureClass::node_failure &&
        std::find(avoid.begin(), avoid.end(), ending.host) == avoid.end())
      say(fmt::format("without keeping away from {}, which failed", ending.host));
  }
}

void Promises::at_end(int run, const Ending& ending, bool refused) {
  int& fruitless = fruitless_[static_cast<std::size_t>(run)];
  fruitless = ending.never_started ? fruitless + 1 : 0;
  if (refused && ending.failure == FailureClass::bug) ++refused_[static_cast<std::size_t>(run)];
}

void Promises::at_retry(int run) {
  fruitless_[static_cast<std::size_t>(run)] = 0;
  refused_[static_cast<std::size_t>(run)] = 0;
}

void Promises::at_failure(int run) {
  if (exhausted(run).empty()) broken(fmt::format("run {} is given up with tries left", run));
}

void Promises::after(const State& state, double now) {
  const int slots = story_->policy().slots;
  if (state.active > slots)
    broken(fmt::format("{} runs are active, {} may be", state.active, slots));
  if (outside_->alive() > slots)
    broken(fmt::format("{} workers live, {} may", outside_->alive(), slots));
  if (state.mode == Mode::running && state.active == 0 && !state.ready.empty())
    broken("a run is ready, nothing is active, and it is not started");
  if (state.mode == Mode::running && !state.waiting.empty() && state.waiting.begin()->first < now)
    broken("a wait is over, and its run still waits");
  if (++events_ % kRecountEvery != 0) return;
  const State again = prepare(state, now);
  if (again.active != state.active || again.active_wanted != state.active_wanted ||
      again.ready != state.ready || again.waiting != state.waiting ||
      again.blocked != state.blocked)
    broken("the machine's counts are not those of its runs");
  for (std::size_t i = 0; i < state.nodes.size(); ++i)
    if (state.nodes[i].state != (*records_)[i].state)
      broken(fmt::format("run {} is {}, and {} in the store",
                         i,
                         store::name(state.nodes[i].state),
                         store::name((*records_)[i].state)));
}

void Promises::at_the_end() {
  for (std::size_t i = 0; i < records_->size(); ++i) {
    const int run = static_cast<int>(i);
    const StoredRun& known = stored(run);
    if (!store::settled(known.state))
      broken(fmt::format("run {} is {} at the end", run, store::name(known.state)));
    const bool has_result = known.state == RunState::done || known.state == RunState::diverged;
    if (has_result && outside_->result(run) != known.state)
      broken(fmt::format("run {} is {} without such a result", run, store::name(known.state)));
    for (const StoredAttempt& attempt : known.attempts)
      if (!attempt.ended) broken(fmt::format("run {} has an attempt without an end", run));
  }
}

}  // namespace ration::scheduler::simulation
