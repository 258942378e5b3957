#include "fuse/state.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fault.h"
#include "base/text.h"
#include "fuse/folder.h"

namespace ration::fuse {
namespace {

// What may be changed while a fusion goes on: how long, and how patient.
Json fixed_part(const Config& config, const Json& model) {
  Json json = to_json(config);
  for (const char* const free :
       {"base", "rounds", "deadline_s", "on_stall", "max_retries", "quorum"})
    json.erase(free);
  return {{"config", std::move(json)}, {"model", model}};
}

Error another(const Path& folder, const std::string& what) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("{} holds another fusion: {}", folder.string(), what),
          .hint =
              "choose another name, or move that folder away; rounds, deadline_s, on_stall, "
              "max_retries and quorum may change"};
}

Result<void> check_same(const Path& folder,
                        const Identity& before,
                        const Config& config,
                        const Json& model,
                        const std::string& base) {
  if (before.base != base)
    return another(folder, fmt::format("its base is {}", before.base.substr(0, 12)));
  const Json old = fixed_part(before.config, before.model).flatten();
  const Json now = fixed_part(config, model).flatten();
  for (const auto& [key, value] : now.items())
    if (!old.contains(key) || old[key] != value)
      return another(folder, fmt::format("{} differs", key.substr(1)));
  for (const auto& [key, value] : old.items())
    if (!now.contains(key)) return another(folder, fmt::format("{} differs", key.substr(1)));
  return {};
}

}  // namespace

Result<State> State::open(Files& files, const Config& config, const Setup& setup) {
  const Path folder =
      std::filesystem::absolute(fusion_folder(setup.store, setup.name)).lexically_normal();
  Result<std::string> base = sha256_of(files, setup.base);
  if (!base) return std::move(base).error();
  if (files.exists(folder / "fusion.json")) {
    Result<Identity> before = read_identity(files, folder);
    if (!before) return std::move(before).error();
    if (Result<void> same = check_same(folder, *before, config, setup.model, *base); !same)
      return std::move(same).error();
  }
  for (const Path& inner : {folder / "rounds", inbox(folder), work_folder(folder)})
    if (Result<void> made = files.make_folders(inner); !made) return std::move(made).error();
  if (Result<std::string> kept = keep_copy(files, setup.base, folder / "bases"); !kept)
    return std::move(kept).error();
  if (Result<void> done = write_identity(files, folder, {config, *base, setup.model}); !done)
    return std::move(done).error();
  Result<State> state = look(files, folder, *base);
  if (state) {
    Result<void> sound = check_digest(files, base_file(folder, state->base()), state->base());
    if (sound && !state->velocity().empty())
      sound = check_digest(files, velocity_file(folder, state->velocity()), state->velocity());
    if (!sound) return std::move(sound).error();
  }
  if (state && state->journal_.events().empty() && !state->rounds().empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is gone, and {} of this fusion {} closed",
                                     journal_file(folder).string(),
                                     counted(state->rounds().size(), "round"),
                                     state->rounds().size() == 1 ? "is" : "are"),
                 .hint = "restore it from a copy; the fusion cannot go on without what arrived"};
  if (state && state->journal_.events().empty())
    if (Result<void> done = state->append({{"event", "begun"}, {"base", *base}}); !done)
      return std::move(done).error();
  return state;
}

Result<State> State::look(Files& files, const Path& folder, const std::string& base) {
  Result<Journal> journal = Journal::open(files, journal_file(folder));
  if (!journal) return std::move(journal).error();
  Result<std::vector<RoundRecord>> rounds = rounds_of(files, folder, base);
  if (!rounds) return std::move(rounds).error();
  State state(files, folder, std::move(*journal));
  state.first_ = base;
  state.rounds_ = std::move(*rounds);
  return state;
}

Result<void> State::append(Json event) {
  Result<std::int64_t> number = journal_.append(std::move(event));
  return number ? Result<void>() : std::move(number).error();
}

std::string State::base() const { return rounds_.empty() ? first_ : rounds_.back().next; }

std::string State::velocity() const { return rounds_.empty() ? "" : rounds_.back().velocity; }

std::vector<std::string> State::versions() const {
  std::vector<std::string> versions = {first_};
  for (const RoundRecord& round : rounds_)
    for (const Contribution& each : round.contributions)
      if (each.verdict == Verdict::accepted) versions.push_back(each.made);
  return versions;
}

std::int64_t State::age_of(const std::string& base) const {
  if (base == this->base()) return 0;
  const auto open = static_cast<std::int64_t>(rounds_.size()) + 1;
  for (std::int64_t round = open - 1; round >= 1; --round)
    if (rounds_[static_cast<std::size_t>(round - 1)].base == base) return open - round;
  return open;
}

RoundEvents State::events_of(std::int64_t round) const {
  RoundEvents events;
  for (const Json& event : journal_.events()) {
    if (event.value("round", std::int64_t{0}) != round) continue;
    const std::string kind = event.at("event");
    if (kind == "opened") events.opened = true;
    if (event.contains("deadline")) events.deadline = event["deadline"].get<double>();
    if (kind == "arrived") {
      events.arrived.push_back(contribution_of(event.at("contribution")));
      Contribution& arrived = events.arrived.back();
      arrived.sequence = event.at("seq");
      arrived.file = (folder_ / arrived.file).lexically_normal();
      events.task_round.push_back(event.at("task_round"));
    }
    if (kind == "closed") {
      events.closed = true;
      events.why = event.at("why");
      events.absent = event.at("absent").get<std::map<std::string, std::string>>();
      events.pending = event.at("pending").get<std::vector<std::string>>();
    }
  }
  return events;
}

bool State::aborted() const {
  return !journal_.events().empty() && journal_.events().back().at("event") == "aborted";
}

Result<void> State::open_round(std::int64_t round, std::optional<double> deadline) {
  Json event = {{"event", "opened"}, {"round", round}};
  if (deadline) event["deadline"] = *deadline;
  return append(std::move(event));
}

Result<void> State::extend(std::int64_t round, double deadline) {
  return append({{"event", "extended"}, {"round", round}, {"deadline", deadline}});
}

Result<void> State::arrive(std::int64_t round,
                           const Contribution& contribution,
                           std::int64_t task_round) {
  Contribution relative = contribution;
  relative.file = relative_to(folder_, contribution.file);
  return append({{"event", "arrived"},
                 {"round", round},
                 {"task_round", task_round},
                 {"contribution", to_json(relative)}});
}

Result<void> State::close_round(std::int64_t round,
                                const std::string& why,
                                const std::map<std::string, std::string>& absent,
                                const std::vector<std::string>& pending) {
  return append({{"event", "closed"},
                 {"round", round},
                 {"why", why},
                 {"absent", absent},
                 {"pending", pending}});
}

Result<void> State::abort(std::int64_t round) {
  return append({{"event", "aborted"}, {"round", round}});
}

std::int64_t State::next_in_inbox() const {
  std::int64_t taken = 0;
  for (const Json& event : journal_.events()) taken = std::max(taken, event.value("inbox", taken));
  return taken + 1;
}

Result<std::vector<Submission>> State::in_inbox() const {
  std::vector<Submission> all;
  for (std::int64_t number = next_in_inbox();; ++number) {
    const Path file = submission_file(folder_, number);
    if (!files_->exists(file)) return all;
    Result<Submission> submission = read_submission(*files_, file);
    if (!submission) return std::move(submission).error();
    all.push_back(std::move(*submission));
  }
}

Result<std::int64_t> State::take_inbox(std::int64_t round) {
  Result<std::vector<Submission>> all = in_inbox();
  if (!all) return std::move(all).error();
  std::int64_t number = next_in_inbox();
  for (const Submission& submission : *all) {
    Contribution contribution = unmeasured();
    contribution.contributor = submission.contributor;
    contribution.trained_from = submission.from;
    contribution.sha256 = submission.model.stem().string();
    contribution.tokens = submission.tokens;
    contribution.file = submission.model;
    if (Result<void> done = append({{"event", "arrived"},
                                    {"round", round},
                                    {"task_round", 0},
                                    {"inbox", number++},
                                    {"contribution", to_json(contribution)}});
        !done)
      return std::move(done).error();
  }
  return static_cast<std::int64_t>(all->size());
}

Result<void> State::finish_round(RoundRecord record) {
  Json json = to_json(record);
  for (Json& each : json["contributions"])
    if (const std::string file = each["file"]; !file.empty())
      each["file"] = relative_to(folder_, file).string();
  fault_point("fuse-before-manifest");
  if (Result<void> done =
          files_->write_whole(round_file(folder_, record.round), json.dump(1) + "\n");
      !done)
    return done;
  fault_point("fuse-after-manifest");
  rounds_.push_back(std::move(record));
  return {};
}

}  // namespace ration::fuse
