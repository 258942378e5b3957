#include "scheduler/simulation/outside.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ration::scheduler::simulation {
namespace {

constexpr double kHeartbeat = 60;  // seconds within which a worker notices a later attempt
constexpr double kGrace = 60;      // within which one that was asked to leave has left

// Purposes of draws; those of Story lie below.
enum : std::uint64_t {
  kHost = 100,
  kStop,
  kZombie,
  kTornCheckpoint,
};

std::string host_name_of(int host) { return fmt::format("n{}", host); }

}  // namespace

Outside::Outside(const Story& story) : story_(&story), folders_(story.runs().size()) {}

double Outside::draw(std::uint64_t what, const Attempt& attempt) const {
  return story_->draw(
      what, static_cast<std::uint64_t>(attempt.run), static_cast<std::uint64_t>(attempt.number));
}

void Outside::schedule(double at, int attempt, bool report) {
  happenings_.push({.at = at, .order = order_++, .attempt = attempt, .report = report});
}

int Outside::start(int run, int number, const std::vector<std::string>& avoid, double now) {
  const int id = static_cast<int>(attempts_.size());
  Attempt attempt{.run = run, .number = number, .fate = story_->fate(run, number, now)};
  if (attempt.fate.kind != Fate::Kind::finishes || attempt.fate.report_seconds > 0 ||
      attempt.fate.reported_twice)
    met_.insert({.run = run, .number = number});
  std::vector<int> hosts;
  for (int host = 0; host < story_->hosts(); ++host)
    if (std::find(avoid.begin(), avoid.end(), host_name_of(host)) == avoid.end())
      hosts.push_back(host);
  if (hosts.empty())
    for (int host = 0; host < story_->hosts(); ++host) hosts.push_back(host);
  attempt.host =
      hosts[static_cast<std::size_t>(draw(kHost, attempt) * static_cast<double>(hosts.size()))];
  attempt.began = now;
  attempt.work_at_start = folder(run).saved;
  const double remaining = std::max(0.0, plan(run).work_seconds - attempt.work_at_start);
  attempt.ends = now + 1 + remaining * attempt.fate.fraction;
  if (attempt.fate.kind == Fate::Kind::never_starts) {
    attempt.ending = {.never_started = true};
    attempts_.push_back(attempt);
    schedule(now + 1 + attempt.fate.report_seconds, id, true);
    return id;
  }
  attempt.alive = true;
  ++alive_;
  // Earlier attempts that still compute see this one and leave.
  for (const int other : folder(run).attempts)
    if (at(other).alive) end_at(other, now + kHeartbeat);
  folder(run).attempts.push_back(id);
  attempts_.push_back(attempt);
  schedule(attempt.ends, id, false);
  return id;
}

void Outside::end_at(int id, double when) {
  if (when >= at(id).ends) return;
  at(id).ends = when;
  schedule(when, id, false);
}

void Outside::stop(int id, double now) {
  Attempt& attempt = at(id);
  if (!attempt.alive || attempt.asked_to_stop) return;
  attempt.asked_to_stop = true;
  end_at(id, now + kGrace * draw(kStop, attempt));
}

double Outside::worked(const Attempt& attempt, double now) const {
  return std::min(plan(attempt.run).work_seconds,
                  attempt.work_at_start + std::max(0.0, now - attempt.began - 1));
}

double Outside::checkpointed(const Attempt& attempt, double now) const {
  const double between = plan(attempt.run).checkpoint_seconds;
  return std::max(attempt.work_at_start, std::floor(worked(attempt, now) / between) * between);
}

double Outside::logged(int run, double now) const {
  double most = folder(run).logged;
  for (const int id : folder(run).attempts)
    if (attempt(id).alive) most = std::max(most, worked(attempt(id), now));
  return most;
}

double Outside::saved(int run, double now) const {
  double most = folder(run).saved;
  for (const int id : folder(run).attempts)
    if (attempt(id).alive) most = std::max(most, checkpointed(attempt(id), now));
  return most;
}

void Outside::publish(const Attempt& attempt, RunState state) {
  Folder& own = folder(attempt.run);
  if (!own.result) own.result = state;  // created once
}

Ending Outside::outcome(int id) const {
  const std::optional<RunState> published = result(attempt(id).run);
  if (published == RunState::done) return {};
  if (published == RunState::diverged) return {.failure = FailureClass::diverged};
  return attempt(id).ending;
}

// Its processes are gone, for the reason that its fate or another one gave.
void Outside::end(int id) {
  Attempt& attempt = at(id);
  const double now = attempt.ends;
  attempt.alive = false;
  if (!attempt.given_up) --alive_;
  Folder& own = folder(attempt.run);
  const bool fenced = own.attempts.back() != id;
  const bool zombie = attempt.given_up;
  const bool by_fate =
      now >= attempt.began + 1 +
                 attempt.fate.fraction * (plan(attempt.run).work_seconds - attempt.work_at_start) -
                 1e-6;
  const double before = own.saved;
  own.saved = std::max(own.saved, checkpointed(attempt, now));  // also of one that is fenced
  own.logged = std::max(own.logged, worked(attempt, now));
  Ending ending;
  if (fenced) {
    ending = {.failure = FailureClass::fenced};
  } else if (by_fate && (attempt.fate.kind == Fate::Kind::finishes || zombie)) {
    publish(attempt, RunState::done);
  } else if (by_fate && attempt.fate.failure == FailureClass::diverged) {
    publish(attempt, RunState::diverged);
    ending = {.failure = FailureClass::diverged};
  } else if (by_fate && attempt.fate.kind == Fate::Kind::vanishes) {
    ending = {.failure = FailureClass::killed};
  } else if (by_fate) {
    ending = {.failure = attempt.fate.failure,
              .at_start = attempt.fate.fraction < 0.2 && attempt.work_at_start == 0};
    if (ending.failure == FailureClass::timeout || ending.failure == FailureClass::preempted)
      ending.progressed = own.saved > before;
  } else {
    // Asked to leave: a checkpoint first, unless there was no time.
    const bool saves = draw(kTornCheckpoint, attempt) < 0.8 && now > attempt.began;
    if (saves)
      own.saved = std::max(
          own.saved,
          std::min(plan(attempt.run).work_seconds, attempt.work_at_start + now - attempt.began));
    ending = {.failure = FailureClass::preempted, .progressed = saves};
  }
  if (zombie) return;  // its end was reported when its machine was given up
  ending.host = host_name_of(attempt.host);
  attempt.ending = ending;
  schedule(now + attempt.fate.report_seconds, id, true);
  if (attempt.fate.reported_twice) schedule(now + 2 * attempt.fate.report_seconds + 30, id, true);
}

void Outside::end_now(int id, double now, const Ending& ending) {
  Attempt& attempt = at(id);
  attempt.alive = false;
  --alive_;
  Folder& own = folder(attempt.run);
  own.saved = std::max(own.saved, checkpointed(attempt, now));
  own.logged = std::max(own.logged, worked(attempt, now));
  attempt.ending = ending;
  attempt.ending.host = host_name_of(attempt.host);
  schedule(now + attempt.fate.report_seconds, id, true);
}

std::optional<int> Outside::happen() {
  const Happening next = happenings_.top();
  happenings_.pop();
  if (next.report) return next.attempt;
  const Attempt& attempt = this->attempt(next.attempt);
  if (attempt.alive && attempt.ends == next.at) end(next.attempt);
  return std::nullopt;
}

void Outside::kill_host(int host, double now) {
  for (int id = 0; id < static_cast<int>(attempts_.size()); ++id) {
    Attempt& attempt = at(id);
    if (!seems_alive(id) || attempt.host != host) continue;
    const Ending ending{.failure = FailureClass::node_failure};
    if (draw(kZombie, attempt) < 0.6) {
      end_now(id, now, ending);
      continue;
    }
    attempt.given_up = true;
    --alive_;
    attempt.ending = ending;
    attempt.ending.host = host_name_of(host);
    schedule(now + attempt.fate.report_seconds, id, true);
  }
}

void Outside::preempt(int id, double now) { stop(id, now); }

void Outside::fill_disk(double until, double now) {
  disk_full_until_ = until;
  int hit = 0;
  for (int id = 0; id < static_cast<int>(attempts_.size()) && hit < 3; ++id) {
    if (!seems_alive(id)) continue;
    end_now(id, now, {.failure = FailureClass::disk});
    ++hit;
  }
}

}  // namespace ration::scheduler::simulation
