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
    RoundRecord record = record_of(context_, state_, events_);
    if (Result<void> done = judge(context_, record, norms_of(state_.rounds())); !done)
      return std::move(done).error();
    if (Result<void> done = fuse_round(context_, record, state_.velocity()); !done)
      return std::move(done).error();
    if (config_.late == Late::log)
      if (Result<void> done = measure_late(context_, record); !done) return std::move(done).error();
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

  bool in(const std::string& contributor) const { return is_in(events_, contributor, base_); }

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

  Result<void> train() {
    std::vector<Task> tasks;
    for (Task& each : late_tasks(context_, state_))
      if (!arrived(each)) tasks.push_back(std::move(each));
    const std::size_t late = tasks.size();
    for (const std::size_t place : chosen_) {
      Task each = task_of(context_, place, round_, base_);
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
