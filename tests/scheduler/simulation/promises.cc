#include "scheduler/simulation/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace ration::scheduler::simulation {
namespace {

constexpr int kRecountEvery = 50;  // events between two counts of everything
constexpr int kFruitless = 5;      // starts in a row that may come to nothing
constexpr double kPatience = 600;  // seconds for which smaller runs may pass a large one
constexpr double kRounding = 1e-6;
constexpr double kSame = 1e-12;  // sums of the same losses in another order

}  // namespace

Promises::Promises(const Story& story, const Outside& outside, const Records& records)
    : story_(&story),
      outside_(&outside),
      records_(&records),
      fruitless_(story.runs().size()),
      refused_(story.runs().size()),
      shares_(story.capacity().gpus.size()),
      overtaken_(story.runs().size(), -1),
      passed_(story.runs().size(), -1),
      first_start_(story.runs().size(), -1) {}

std::vector<bool> hopeless(const Story& story, const Records& records) {
  std::vector<bool> never(records.size());
  for (std::size_t i = 0; i < records.size();
       ++i) {  // parents come before those that wait for them
    const RunPlan& plan = story.runs()[i];
    if (records[i].state != RunState::ready) continue;
    if (plan.trunk >= 0) never[i] = never[static_cast<std::size_t>(plan.trunk)];
    if (!plan.gate) continue;
    std::size_t possible = 0;
    bool held = false;
    for (const Parent& parent : plan.gate->parents) {
      const RunState state = records[parent.node].state;
      held = held || never[parent.node];
      possible +=
          state == RunState::done || (!store::settled(state) && !never[parent.node]) ? 1 : 0;
    }
    const bool waits =
        plan.gate->on_stall == OnStall::wait || plan.gate->on_stall == OnStall::extend;
    const bool nobody = plan.gate->on_stall == OnStall::go_on && possible == 0 && held;
    const bool too_few = possible < needed(*plan.gate);
    never[i] = nobody || (too_few && (waits || (held && plan.gate->on_stall == OnStall::abort)));
  }
  return never;
}

std::string Promises::early(int run, double now) const {
  const std::optional<Gate>& gate = story_->runs()[static_cast<std::size_t>(run)].gate;
  if (!gate || !stored(run).attempts.empty()) return "";
  std::size_t done = 0;
  bool others_run = false;
  double first = -1;
  for (const Parent& parent : gate->parents) {
    const RunState state = (*records_)[parent.node].state;
    done += state == RunState::done ? 1 : 0;
    others_run = others_run || state == RunState::active;
    const double start = first_start_[parent.node];
    if (start >= 0 && (first < 0 || start < first)) first = start;
  }
  const std::size_t least = gate->on_stall == OnStall::go_on ? 1 : needed(*gate);
  if (done < least) return fmt::format("with {} results of the {} that it needs", done, least);
  // A retry may bring one back that counted as absent when the gate opened.
  if (others_run && !retried_ && now < first + gate->deadline_seconds - kRounding)
    return "before its deadline, although more may come";
  return "";
}

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
    if (ending.failure == out_of_memory && packed(attempt.need)) continue;  // it was not alone
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
  std::fill(overtaken_.begin(), overtaken_.end(), -1);
  std::fill(passed_.begin(), passed_.end(), -1);
  std::fill(shares_.begin(), shares_.end(), 0);
  threads_ = 0;
  mode_ = state.mode;
  for (const StoredRun& run : *records_)
    for (const StoredAttempt& attempt : run.attempts)
      if (!attempt.ended) occupy(attempt, 1);
  if (state.active > story_->policy().slots)
    broken(fmt::format(
        "{} runs are active after a restart, {} may", state.active, story_->policy().slots));
}

// ---- Room ---------------------------------------------------------------------------------------

double Promises::share(const Need& need, std::size_t gpu) const {
  const double bytes = story_->capacity().gpus[gpu].bytes;
  if (need.gpu_bytes > 0) return need.gpu_bytes / (0.9 * bytes);
  return need.gpu_share > 0 ? need.gpu_share : 1;
}

void Promises::occupy(const StoredAttempt& attempt, int sign) {
  const Capacity& capacity = story_->capacity();
  if (capacity.threads > 0) threads_ += sign * std::min(attempt.need.threads, capacity.threads);
  for (std::size_t gpu = 0; gpu < shares_.size(); ++gpu)
    if (std::find(attempt.gpus.begin(), attempt.gpus.end(), capacity.gpus[gpu].uuid) !=
        attempt.gpus.end())
      shares_[gpu] += sign * share(attempt.need, gpu);
}

void Promises::started(int run, double now) {
  double& first = first_start_[static_cast<std::size_t>(run)];
  if (first < 0) first = now;
}

void Promises::take(const StoredAttempt& attempt) {
  if (!shares_.empty() && attempt.gpus.size() != static_cast<std::size_t>(attempt.need.gpus))
    broken(fmt::format(
        "{} GPUs are given to one that needs {}", attempt.gpus.size(), attempt.need.gpus));
  occupy(attempt, 1);
  if (story_->capacity().threads > 0 && threads_ > story_->capacity().threads)
    broken(fmt::format("{} threads are taken of {}", threads_, story_->capacity().threads));
  for (const double taken : shares_)
    if (taken > 1 + kRounding) broken(fmt::format("{:.3f} of a GPU are taken", taken));
}

void Promises::leave(const StoredAttempt& attempt) { occupy(attempt, -1); }

bool Promises::fits(const Need& need) const {
  const Capacity& capacity = story_->capacity();
  if (capacity.threads > 0 &&
      threads_ + std::min(need.threads, capacity.threads) > capacity.threads)
    return false;
  if (shares_.empty()) return true;
  int free = 0;
  for (std::size_t gpu = 0; gpu < shares_.size(); ++gpu)
    free += shares_[gpu] + share(need, gpu) <= 1 ? 1 : 0;
  return free >= need.gpus;
}

bool Promises::overdue(std::size_t run, double now) const {
  return overtaken_[run] >= 0 && now > overtaken_[run] + kPatience;
}

// Of large runs that smaller ones pass: those of one sweep, without GPUs, whose order is plain.
void Promises::at_passing(std::size_t launched, bool last, const State& state, double now) {
  const auto plain = [&](std::size_t run) { return story_->runs()[run].need.gpus == 0; };
  // One that lost patience itself, perhaps over runs whose place in the order is not plain.
  const bool urgent = passed_[launched] >= 0 && now >= passed_[launched] + kPatience;
  overtaken_[launched] = passed_[launched] = -1;
  for (const auto& [lane, line] : state.ready)
    if (passed_[*line.begin()] < 0) passed_[*line.begin()] = now;
  if (!plain(launched)) return;
  for (const auto& [lane, line] : state.ready) {
    const std::size_t head = *line.begin();
    if (lane.sweep != state.nodes[launched].sweep || head > launched || !plain(head)) continue;
    if (overdue(head, now) && !urgent)
      broken(fmt::format("run {} passes run {}, which has let others pass for {:.0f} s",
                         launched,
                         head,
                         now - overtaken_[head]));
    if (last && overtaken_[head] < 0) overtaken_[head] = now;
  }
}

void Promises::at_idle_room(const State& state, double now) {
  const bool reserved = std::any_of(state.ready.begin(), state.ready.end(), [&](const auto& entry) {
    const RunNode& head = state.nodes[*entry.second.begin()];
    return head.overtaken >= 0 && now >= head.overtaken + kPatience;
  });
  // Active runs may leave enough of the budget, or not.
  if (state.policy.caps.any() && state.active > 0) return;
  for (const auto& [lane, line] : state.ready)
    if (!reserved && fits(lane.need))
      broken(fmt::format("there is room for run {}, and it is not started", *line.begin()));
}

// ---- Events -------------------------------------------------------------------------------------

void Promises::of_step(const std::vector<Action>& actions, const State& state, double now) {
  std::size_t launched = 0;
  for (const Action& action : actions) launched += action.kind == ActionKind::launch ? 1 : 0;
  const bool launches = launched > 0;
  for (const Action& action : actions) {
    if (action.kind == ActionKind::record) overtaken_[action.node] = passed_[action.node] = -1;
    // Only at the last one did those that are still ready stand at the head of their lines.
    if (action.kind == ActionKind::launch) at_passing(action.node, --launched == 0, state, now);
  }
  // Only a budget may end a step that began with starts.
  const bool too_late =
      mode_ != Mode::running || (state.mode != Mode::running && state.cause != StopCause::budget);
  if (launches && too_late) broken("a run is started while nothing more is to be started");
  mode_ = state.mode;
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
  if (known.state == RunState::stopped || known.stopped) say("although it was stopped early");
  for (const StoredAttempt& attempt : known.attempts)
    if (!attempt.ended) say(fmt::format("beside its attempt {}", attempt.number));
  for (const StoredAttempt& attempt : known.attempts)
    if (attempt.process >= 0 && outside_->seems_alive(attempt.process))
      say(fmt::format("while its attempt {} lives", attempt.number));
  if (now < known.not_before - 1e-6)
    say(fmt::format("{:.1f} s before its wait is over", known.not_before - now));
  if (const std::string why = exhausted(run); !why.empty())
    say(fmt::format("although its tries are used up ({})", why));
  if (const std::string why = early(run, now); !why.empty()) say(why);
  started(run, now);
  // So no more than what was active then can pass a cap.
  store::Usage used;
  for (const StoredRun& each : *records_)
    for (const StoredAttempt& attempt : each.attempts)
      if (attempt.ended) used += attempt.ending.used;
  if (used.flops >= state.policy.caps.flops || used.seconds >= 3600 * state.policy.caps.hours)
    say("although the budget is used up");
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
  retried_ = true;
}

void Promises::at_failure(int run) {
  if (exhausted(run).empty()) broken(fmt::format("run {} is given up with tries left", run));
}

// ---- Early stopping -----------------------------------------------------------------------------

std::optional<Standing> Promises::standing(int run) const {
  constexpr double kTenths = 10;
  const RunPlan& own = story_->runs()[static_cast<std::size_t>(run)];
  const Halving& rule = *story_->halving();
  const auto known = static_cast<double>(stored(run).losses.size()) / kTenths;
  std::optional<double> rung;
  for (const double each : rule.rungs)
    if (known * own.work_seconds >= each * own.work_seconds &&
        (known - 1 / kTenths) * own.work_seconds < each * own.work_seconds)
      rung = each;
  if (!rung) return std::nullopt;
  std::map<std::size_t, std::vector<double>> losses;  // by configuration, at this rung
  for (std::size_t i = 0; i < records_->size(); ++i) {
    const RunPlan& other = story_->runs()[i];
    if (other.bracket != own.bracket) continue;
    for (std::size_t k = 0; k < (*records_)[i].losses.size(); ++k)
      if (static_cast<double>(k + 1) / kTenths * other.work_seconds >= *rung * other.work_seconds) {
        losses[other.configuration].push_back((*records_)[i].losses[k]);
        break;
      }
  }
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  Standing standing{.rung = *rung, .loss = mean(losses.at(own.configuration)), .of = losses.size()};
  for (const auto& [configuration, values] : losses)
    standing.rank += mean(values) < standing.loss - kSame ? 1 : 0;
  standing.best =
      static_cast<std::size_t>(std::ceil(static_cast<double>(losses.size()) / rule.eta));
  standing.enough = losses.size() >= static_cast<std::size_t>(rule.least);
  return standing;
}

bool Promises::foretold(int run) const {
  const std::optional<Foreseen>& foreseen = story_->runs()[static_cast<std::size_t>(run)].foreseen;
  const StoredRun& known = stored(run);
  if (!foreseen || !story_->foresight() || known.losses.empty()) return false;
  const double fraction = static_cast<double>(known.losses.size()) / 10;
  return fraction > story_->foresight()->after - kRounding && fraction < 1 &&
         foreseen->high - foreseen->low <= 0.01 * foreseen->loss &&
         known.losses.back() >= foreseen->low;
}

void Promises::at_decision(int run) {
  const StoredRun& known = stored(run);
  const auto say = [&](std::string_view what) {
    broken(fmt::format("run {} is stopped early although {}", run, what));
  };
  if (known.state != RunState::active) say("it is not active");
  if (known.spared) say("a person let it go on");
  if (foretold(run)) return;
  const std::optional<Standing> where = standing(run);
  if (!where) return say("it reached no rung");
  if (!where->enough) say(fmt::format("only {} reached the rung", where->of));
  if (where->rank <= where->best)
    say(fmt::format("it is number {} of {}, and {} go on", where->rank, where->of, where->best));
}

void Promises::at_evaluation(int run, bool awaited, const State& state) {
  const RunNode& node = state.nodes[static_cast<std::size_t>(run)];
  const std::optional<Standing> where = standing(run);
  const bool complete = stored(run).losses.size() == 10;
  const bool may = node.state == RunState::active && !node.cancelling && !stored(run).spared;
  if (where && where->stops() && may && !complete && !awaited && !stored(run).stopped)
    broken(fmt::format("run {} goes on although it is number {} of {}, and {} do",
                       run,
                       where->rank,
                       where->of,
                       where->best));
}

void Promises::at_stop(int run) {
  if (!stored(run).stopped) broken(fmt::format("run {} is stopped, and no rule said so", run));
  if (outside_->result(run)) broken(fmt::format("run {} is stopped although it has a result", run));
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
  if (state.mode == Mode::running && state.active < slots) at_idle_room(state, now);
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
  const std::vector<bool> excused = hopeless(*story_, *records_);
  for (std::size_t i = 0; i < records_->size(); ++i) {
    const int run = static_cast<int>(i);
    const StoredRun& known = stored(run);
    if (!store::settled(known.state) && !excused[i])
      broken(fmt::format("run {} is {} at the end", run, store::name(known.state)));
    const bool has_result = known.state == RunState::done || known.state == RunState::diverged;
    if (has_result && outside_->result(run) != known.state)
      broken(fmt::format("run {} is {} without such a result", run, store::name(known.state)));
    for (const StoredAttempt& attempt : known.attempts)
      if (!attempt.ended) broken(fmt::format("run {} has an attempt without an end", run));
  }
}

}  // namespace ration::scheduler::simulation
