#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/fault.h"
#include "base/text.h"
#include "fuse/folder.h"
#include "fuse/quorum.h"
#include "fuse/rounds.h"

namespace ration::fuse {
namespace {

constexpr double kPollSeconds = 1;

class Round {
 public:
  Round(const Context& context, State& state, Clock& clock)
      : context_(context),
        config_(context.config),
        state_(state),
        clock_(clock),
        round_(static_cast<std::int64_t>(state.rounds().size()) + 1),
        base_(state.base()),
        chosen_(chosen(config_, round_)) {}

  Result<std::string> run() {
    if (Result<void> done = open(); !done) return std::move(done).error();
    while (!events_.closed) {
      Result<std::string> waits = gather();
      if (!waits || !waits->empty()) return waits;
      events_ = state_.events_of(round_);
    }
    RoundRecord record = record_of_arrivals();
    if (Result<void> done = judge(context_, record, norms_of(state_.rounds())); !done)
      return std::move(done).error();
    if (Result<void> done = fuse_round(context_, record, state_.velocity()); !done)
      return std::move(done).error();
    if (Result<void> done = state_.finish_round(std::move(record)); !done)
      return std::move(done).error();
    return std::string();
  }

 private:
  Result<void> open() {
    events_ = state_.events_of(round_);
    if (events_.opened) return {};
    std::optional<double> deadline;
    if (config_.deadline_s > 0) deadline = clock_.unix_seconds() + config_.deadline_s;
    if (Result<void> done = state_.open_round(round_, deadline); !done) return done;
    events_ = state_.events_of(round_);
    return {};
  }

  // One look at who is in, after training who is not. What the round waits for; empty when it was
  // closed, or something came.
  Result<std::string> gather() {
    if (Result<void> done = train(); !done) return std::move(done).error();
    Result<std::int64_t> sent = state_.take_inbox(round_);
    if (!sent) return std::move(sent).error();
    events_ = state_.events_of(round_);
    const Waiting waiting = count();
    switch (decide(config_, waiting)) {
      case Next::close:
        return close(waiting);
      case Next::abort:
        if (Result<void> done = state_.abort(round_); !done) return std::move(done).error();
        return aborted_error(waiting);
      case Next::extend:
        if (Result<void> done = state_.extend(round_, clock_.unix_seconds() + config_.deadline_s);
            !done)
          return std::move(done).error();
        return std::string();
      case Next::stall:
        return describe(waiting, "nobody else may come; `--retry-failed` tries again");
      case Next::wait:
        break;
    }
    if (events_.deadline && !waiting.past_deadline) {
      clock_.sleep(std::clamp(*events_.deadline - clock_.unix_seconds(), 0.0, kPollSeconds));
      if (context_.hands.interrupted && context_.hands.interrupted())
        return Error{.kind = ErrorKind::interrupted,
                     .what = fmt::format("round {} was left while it waits", round_),
                     .hint = "the same command goes on"};
      return std::string();
    }
    if (trains_on_) return std::string();
    return describe(waiting, "it waits for `ration fuse submit`");
  }

  Result<std::string> close(const Waiting& waiting) {
    const std::string why = waiting.in == waiting.of                 ? "all are in"
                            : waiting.past_deadline                  ? "the deadline is over"
                            : waiting.in < config_.least(waiting.of) ? "on_stall = fuse_anyway"
                                                                     : "the others failed";
    std::vector<std::string> pending;
    for (const std::size_t place : chosen_)
      if (const std::string& id = config_.contributors[place].id;
          !in(id) && !failed_.contains(id) && !config_.contributors[place].external)
        pending.push_back(id);
    fault_point("fuse-before-close");
    if (Result<void> done = state_.close_round(round_, why, failed_, pending); !done)
      return std::move(done).error();
    return std::string();
  }

  Error aborted_error(const Waiting& waiting) const {
    return {.kind = ErrorKind::resource,
            .what = fmt::format("round {} is aborted: {} of {} are in, {} are needed",
                                round_,
                                waiting.in,
                                counted(static_cast<std::size_t>(waiting.of), "contribution"),
                                config_.least(waiting.of)),
            .hint = "on_stall = \"abort\" asks for that; begin anew under another name"};
  }

  std::string describe(const Waiting& waiting, const std::string& what) const {
    return fmt::format("round {} has {} of {}, {} are needed: {}",
                       round_,
                       waiting.in,
                       counted(static_cast<std::size_t>(waiting.of), "contribution"),
                       config_.least(waiting.of),
                       what);
  }

  bool in(const std::string& contributor) const {
    return std::any_of(events_.arrived.begin(), events_.arrived.end(), [&](const auto& each) {
      return each.contributor == contributor && each.trained_from == base_;
    });
  }

  Waiting count() const {
    Waiting waiting{.of = static_cast<std::int64_t>(chosen_.size())};
    for (const std::size_t place : chosen_) {
      const std::string& id = config_.contributors[place].id;
      if (in(id))
        ++waiting.in;
      else if (!failed_.contains(id))
        ++waiting.coming;
    }
    waiting.past_deadline = events_.deadline && clock_.unix_seconds() >= *events_.deadline;
    return waiting;
  }

  bool arrived(const Task& task) const {
    for (std::size_t i = 0; i < events_.arrived.size(); ++i)
      if (events_.arrived[i].contributor == task.contributor->id &&
          events_.task_round[i] == task.round)
        return true;
    return false;
  }

  Task task(std::size_t place, std::int64_t round, const std::string& base) const {
    return {.contributor = &config_.contributors[place],
            .round = round,
            .base = base,
            .base_file = base_file(context_.folder, base),
            .seed = seed_of(config_, round, place)};
  }

  // Contributions of earlier rounds that were not at their end when these were closed.
  std::vector<Task> late_tasks() const {
    std::vector<Task> tasks;
    if (config_.late == Late::drop) return tasks;
    const std::int64_t oldest = std::max<std::int64_t>(1, round_ - config_.staleness_max);
    std::set<std::pair<std::string, std::int64_t>> came;
    for (std::int64_t round = oldest; round < round_; ++round) {
      const RoundEvents events = state_.events_of(round);
      for (std::size_t i = 0; i < events.arrived.size(); ++i)
        came.emplace(events.arrived[i].contributor, events.task_round[i]);
    }
    for (std::int64_t round = oldest; round < round_; ++round)
      for (const std::string& id : state_.events_of(round).pending)
        for (std::size_t place = 0; place < config_.contributors.size(); ++place)
          if (config_.contributors[place].id == id && !came.contains({id, round}))
            tasks.push_back(
                task(place, round, state_.rounds()[static_cast<std::size_t>(round - 1)].base));
    return tasks;
  }

  Result<void> train() {
    std::vector<Task> tasks;
    for (Task& each : late_tasks())
      if (!arrived(each)) tasks.push_back(std::move(each));
    const std::size_t late = tasks.size();
    for (const std::size_t place : chosen_) {
      Task each = task(place, round_, base_);
      if (each.contributor->external || arrived(each) || failed_.contains(each.contributor->id))
        continue;
      if (fails(config_, round_, place))
        failed_[each.contributor->id] = "it failed, as the experiment asks";
      else
        tasks.push_back(std::move(each));
    }
    trains_on_ = false;
    if (tasks.empty()) return {};
    // After the deadline a first look takes what is done, also after a kill; if too few are in
    // then, nothing limits the wait.
    std::optional<double> until = events_.deadline;
    if (until && clock_.unix_seconds() >= *until && std::exchange(looked_late_, true))
      until.reset();
    Result<std::vector<Trained>> trained = context_.hands.train(tasks, until);
    if (!trained) return std::move(trained).error();
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (Result<void> done = take(tasks[i], (*trained)[i], i < late); !done) return done;
    return {};
  }

  Result<void> take(const Task& task, const Trained& trained, bool late) {
    if (trained.pending && !late) trains_on_ = true;
    if (trained.pending) return {};
    if (trained.model.empty()) {
      if (!late) failed_[task.contributor->id] = trained.reason;
      return {};
    }
    Result<Contribution> contribution = arrival_of(context_, task, trained);
    if (!contribution) return std::move(contribution).error();
    return state_.arrive(round_, *contribution, task.round);
  }

  // The verdicts that need no look at weights; all others are accepted until they are judged.
  RoundRecord record_of_arrivals() const {
    RoundRecord record;
    record.round = round_;
    record.base = base_;
    record.base_file = base_file(context_.folder, base_);
    record.eta = config_.eta;
    record.probe_before = record.probe_after = unmeasured().probe;
    record.contributions = events_.arrived;
    for (std::size_t i = 0; i < record.contributions.size(); ++i)
      record.contributions[i].staleness = staleness(record.contributions[i], events_.task_round[i]);
    for (Contribution& each : record.contributions) set_verdict(each, record.contributions);
    for (const std::size_t place : chosen_)
      if (const std::string& id = config_.contributors[place].id; !in(id)) {
        Contribution absent = unmeasured();
        absent.contributor = id;
        absent.trained_from = base_;
        const auto reason = events_.absent.find(id);
        absent.reason =
            reason == events_.absent.end() ? "not there when the round was closed" : reason->second;
        record.contributions.push_back(std::move(absent));
      }
    std::stable_sort(
        record.contributions.begin(),
        record.contributions.end(),
        [](const Contribution& a, const Contribution& b) { return a.contributor < b.contributor; });
    for (const auto& [id, fault] : config_.faults)
      if (fault.kind != Fault::Kind::fail)
        record.warnings.push_back(
            fmt::format("the contributions of {} are altered, as the experiment asks", id));
    return record;
  }

  // Rounds since the one that the contribution was trained for.
  std::int64_t staleness(const Contribution& contribution, std::int64_t task_round) const {
    if (contribution.trained_from == base_) return 0;
    if (task_round > 0) return round_ - task_round;
    for (std::int64_t round = round_ - 1; round >= 1; --round)
      if (state_.rounds()[static_cast<std::size_t>(round - 1)].base == contribution.trained_from)
        return round_ - round;
    return round_;
  }

  // Of several by one contributor the one from the newest base counts, of equals the last.
  void set_verdict(Contribution& each, const std::vector<Contribution>& arrived) const {
    each.verdict = Verdict::accepted;
    const auto better = std::find_if(arrived.begin(), arrived.end(), [&](const Contribution& c) {
      return c.contributor == each.contributor &&
             (c.staleness < each.staleness ||
              (c.staleness == each.staleness && c.sequence > each.sequence));
    });
    if (better != arrived.end()) {
      each.verdict = Verdict::superseded;
      each.reason = fmt::format("number {} of the same contributor replaces it", better->sequence);
    } else if (each.staleness > 0 && config_.late == Late::drop) {
      each.verdict = Verdict::late;
      each.reason = "its round was closed; late = \"drop\"";
    } else if (each.staleness > 0 && config_.late == Late::log) {
      each.verdict = Verdict::late;
      each.reason = "its round was closed; late = \"log\"";
    } else if (each.staleness > config_.staleness_max) {
      each.verdict = Verdict::rejected;
      each.reason = fmt::format(
          "late: {} rounds old, staleness_max = {}", each.staleness, config_.staleness_max);
    }
  }

  const Context& context_;
  const Config& config_;
  State& state_;
  Clock& clock_;
  std::int64_t round_;
  std::string base_;
  std::vector<std::size_t> chosen_;
  RoundEvents events_;
  std::map<std::string, std::string> failed_;  // contributor -> reason
  bool trains_on_ = false;                     // runs of this round are not at their end
  bool looked_late_ = false;                   // at what is done, since the deadline
};

}  // namespace

Result<std::string> sync_round(const Context& context, State& state, Clock& clock) {
  return Round(context, state, clock).run();
}

}  // namespace ration::fuse
