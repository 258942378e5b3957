// No rounds in the sense of the paper: each contribution moves the base as it arrives. What is
// called a round here is a wave of as many contributions as work at a time. In a wave each place
// starts from the version that its arrival in the last wave made, as if all took equally long; so
// the order, and with it every byte, does not depend on the speed of machines.

#include <fmt/format.h>

#include <algorithm>

#include "base/fault.h"
#include "base/text.h"
#include "fuse/folder.h"
#include "fuse/quorum.h"
#include "fuse/rounds.h"
#include "fuse/screen.h"

namespace ration::fuse {
namespace {

class Wave {
 public:
  Wave(const Context& context, State& state)
      : context_(context),
        config_(context.config),
        state_(state),
        round_(static_cast<std::int64_t>(state.rounds().size()) + 1),
        versions_(state.versions()) {
    for (const std::size_t place : chosen(config_, round_))
      if (!config_.contributors[place].external) places_.push_back(place);
  }

  Result<std::string> run() {
    RoundEvents events = state_.events_of(round_);
    if (!events.opened)
      if (Result<void> done = state_.open_round(round_, std::nullopt); !done)
        return std::move(done).error();
    if (!events.closed) {
      Result<std::string> waits = gather();
      if (!waits || !waits->empty()) return waits;
    }
    events = state_.events_of(round_);
    Result<RoundRecord> record = add_up(events);
    if (!record) return std::move(record).error();
    if (Result<void> done = state_.finish_round(std::move(*record)); !done)
      return std::move(done).error();
    return std::string();
  }

 private:
  Result<std::string> gather() {
    if (Result<void> done = train(); !done) return std::move(done).error();
    Result<std::int64_t> sent = state_.take_inbox(round_);
    if (!sent) return std::move(sent).error();
    const auto in = static_cast<std::int64_t>(state_.events_of(round_).arrived.size());
    Waiting waiting{.of = static_cast<std::int64_t>(chosen(config_, round_).size()), .in = in};
    if (places_.empty())
      waiting.coming = std::max<std::int64_t>(0, waiting.of - in);
    else
      waiting.of = static_cast<std::int64_t>(places_.size());
    switch (decide(config_, waiting)) {
      case Next::close:
        break;
      case Next::abort:
        if (Result<void> done = state_.abort(round_); !done) return std::move(done).error();
        return Error{.kind = ErrorKind::resource,
                     .what = fmt::format("round {} is aborted: too few contributions", round_),
                     .hint = "on_stall = \"abort\" asks for that; begin anew under another name"};
      case Next::wait:
      case Next::extend:
      case Next::stall:
        return fmt::format("round {} has {} of {}: {}",
                           round_,
                           in,
                           counted(static_cast<std::size_t>(waiting.of), "contribution"),
                           waiting.coming > 0 ? "it waits for `ration fuse submit`"
                                              : "`--retry-failed` tries the others again");
    }
    fault_point("fuse-before-close");
    if (Result<void> done = state_.close_round(round_, "all are in", failed_, {}); !done)
      return std::move(done).error();
    return std::string();
  }

  // The version that the `slot`-th contributor of this wave begins with.
  std::string begin_of(std::size_t slot) const {
    const std::vector<RoundRecord>& rounds = state_.rounds();
    if (rounds.empty()) return versions_.front();
    std::size_t passed = 0;
    for (const Contribution& each : rounds.back().contributions) {
      const bool external =
          std::any_of(config_.contributors.begin(), config_.contributors.end(), [&](const auto& c) {
            return c.external && c.id == each.contributor;
          });
      if (!external && passed++ == slot) return each.made;
    }
    return rounds.back().next;
  }

  Result<void> train() {
    const RoundEvents events = state_.events_of(round_);
    std::vector<Task> tasks;
    for (std::size_t slot = 0; slot < places_.size(); ++slot) {
      const Contributor& contributor = config_.contributors[places_[slot]];
      const bool in = std::any_of(events.arrived.begin(), events.arrived.end(), [&](const auto& c) {
        return c.contributor == contributor.id;
      });
      if (in) continue;
      if (fails(config_, round_, places_[slot])) {
        failed_[contributor.id] = "it failed, as the experiment asks";
        continue;
      }
      tasks.push_back(task_of(context_, places_[slot], round_, begin_of(slot)));
    }
    if (tasks.empty()) return {};
    Result<std::vector<Trained>> trained = context_.hands.train(tasks, std::nullopt);
    if (!trained) return std::move(trained).error();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if ((*trained)[i].model.empty()) {
        failed_[tasks[i].contributor->id] = (*trained)[i].reason;
        continue;
      }
      Result<Contribution> contribution = arrival_of(context_, tasks[i], (*trained)[i]);
      if (!contribution) return std::move(contribution).error();
      if (Result<void> done = state_.arrive(round_, *contribution, round_); !done) return done;
    }
    return {};
  }

  // In their order: those that were trained here by place, then those that were sent.
  std::vector<Contribution> in_order(const RoundEvents& events) const {
    std::vector<Contribution> ordered;
    const auto take = [&](const std::string& id) {
      std::size_t count = 0;
      for (const Contribution& each : events.arrived)
        if (each.contributor == id) ordered.push_back(each), ++count;
      return count;
    };
    for (const std::size_t place : places_) {
      const std::string& id = config_.contributors[place].id;
      if (take(id) > 0) continue;
      Contribution absent = unmeasured();
      absent.contributor = id;
      const auto reason = events.absent.find(id);
      absent.reason = reason == events.absent.end() ? "" : reason->second;
      ordered.push_back(std::move(absent));
    }
    for (const Contribution& each : events.arrived)
      if (std::none_of(places_.begin(), places_.end(), [&](std::size_t place) {
            return config_.contributors[place].id == each.contributor;
          }))
        ordered.push_back(each);
    return ordered;
  }

  Result<RoundRecord> add_up(const RoundEvents& events) {
    RoundRecord record;
    record.round = round_;
    record.base = versions_.back();
    record.base_file = base_file(context_.folder, record.base);
    record.eta = config_.eta;
    record.status = RoundStatus::empty;
    record.probe_before = record.probe_after = unmeasured().probe;
    history_ = norms_of(state_.rounds());
    for (Contribution& each : in_order(events)) {
      if (each.sequence > 0)
        if (Result<void> done = add(each); !done) return std::move(done).error();
      each.made = versions_.back();
      if (each.verdict == Verdict::accepted) record.status = RoundStatus::fused;
      record.contributions.push_back(std::move(each));
    }
    record.next = versions_.back();
    record.next_file = base_file(context_.folder, record.next);
    record.warnings = altered_in(config_, record);
    return record;
  }

  // Screens one arrival and adds it to the current version.
  Result<void> add(Contribution& each) {
    const std::string current = versions_.back();
    const auto from = std::find(versions_.rbegin(), versions_.rend(), each.trained_from);
    if (from == versions_.rend()) {
      each.verdict = Verdict::rejected;
      each.reason = "format: no version of this fusion is the base that it names";
      return {};
    }
    each.staleness = from - versions_.rbegin();
    if (each.staleness > config_.staleness_max) {
      each.verdict = Verdict::rejected;
      each.reason = fmt::format(
          "late: {} versions old, staleness_max = {}", each.staleness, config_.staleness_max);
      return {};
    }
    // A round of one contribution: the judge moves it onto the current version.
    RoundRecord one;
    one.round = round_;
    one.base = current;
    one.base_file = base_file(context_.folder, current);
    one.eta = config_.eta;
    each.verdict = Verdict::accepted;
    one.contributions = {each};
    if (Result<void> done = judge(context_, one, history_); !done) return done;
    each = one.contributions.front();
    if (each.verdict != Verdict::accepted) return {};
    history_.push_back(each.norm);
    const Part part = part_of(context_, each, config_.eta);
    Result<std::string> made =
        add_part(context_.files, part, one.base_file, context_.folder, context_.threads);
    if (!made) return std::move(made).error();
    versions_.push_back(*made);
    return {};
  }

  const Context& context_;
  const Config& config_;
  State& state_;
  std::int64_t round_;
  std::vector<std::string> versions_;  // theta_0 and all since, the current one last
  std::vector<std::size_t> places_;    // of contributors that are trained here
  std::map<std::string, std::string> failed_;
  std::vector<double> history_;
};

}  // namespace

Part part_of(const Context& context, const Contribution& contribution, double eta) {
  return {.contributor = contribution.contributor,
          .model = contribution.file,
          .from = base_file(context.folder, contribution.trained_from),
          .weight = 1,
          .scale = eta * contribution.weight};
}

Result<std::string> add_part(
    Files& files, const Part& part, const Path& base, const Path& folder, int threads) {
  Result<Path> made = effective(files, part, base, work_folder(folder), threads);
  if (!made) return std::move(made).error();
  return *made == part.model ? keep_copy(files, part.model, folder / "bases")
                             : keep(files, *made, folder / "bases");
}

Result<std::string> async_round(const Context& context, State& state, Clock&) {
  return Wave(context, state).run();
}

}  // namespace ration::fuse
