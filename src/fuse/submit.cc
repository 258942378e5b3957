#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "checkpoint/safetensors.h"
#include "fuse/folder.h"
#include "fuse/measure.h"
#include "fuse/state.h"

namespace ration::fuse {
namespace {

constexpr std::size_t kShortest = 8;  // digits of a base's digest that name it

// The base whose digest begins so.
Result<std::string> base_named(Files& files, const Path& folder, const std::string& from) {
  Result<std::vector<std::string>> names = files.list(folder / "bases");
  if (!names) return std::move(names).error();
  std::vector<std::string> found;
  for (const std::string& each : *names)
    if (each.ends_with(".safetensors") && each.starts_with(from))
      found.push_back(Path(each).stem().string());
  if (from.size() >= kShortest && found.size() == 1) return found.front();
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("\"{}\" names {} of {}",
                                   from,
                                   found.empty() ? "no base" : "several bases",
                                   folder.string()),
               .hint =
                   "give at least 8 digits of the SHA-256 of the base that the model was "
                   "trained from; `ration fuse status` shows the current one"};
}

Result<const Contributor*> contributor_named(const Config& config, const std::string& id) {
  std::vector<std::string> known;
  for (const Contributor& each : config.contributors) {
    if (!each.external) continue;
    known.push_back(each.id);
    if (each.id == id) return &each;
  }
  const std::string near = did_you_mean(id, known);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("\"{}\" is no external contributor", id),
               .hint = known.empty()  ? "`external = true` in a [[fuse.contributor]] makes it one"
                       : near.empty() ? fmt::format("one of {}", fmt::join(known, ", "))
                                      : near};
}

// Refused where nobody will take it.
Result<void> check_open(const State& state, const Config& config) {
  const auto refused = [&](const std::string& what, const char* hint) {
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} {}", state.folder().string(), what),
                 .hint = hint};
  };
  if (state.aborted())
    return refused("was aborted: nothing is taken any more",
                   "begin the fusion anew under another name, and submit it there");
  if (static_cast<std::int64_t>(state.rounds().size()) < config.rounds) return {};
  return refused(
      fmt::format("has ended: {} of it {} done",
                  counted(static_cast<std::size_t>(config.rounds), "round"),
                  config.rounds == 1 ? "is" : "are"),
      "raise `rounds` in the sweep file, give `ration fuse run` again, and then submit it");
}

// In versions, of which an asynchronous fusion makes one an arrival.
std::int64_t staleness_of(const State& state, const Config& config, const std::string& base) {
  if (config.mode == Mode::sync) return state.age_of(base);
  const std::vector<std::string> versions = state.versions();
  return std::find(versions.rbegin(), versions.rend(), base) - versions.rbegin();
}

// What becomes of a contribution that old, were it taken now.
std::string fate(const Config& config, std::int64_t staleness) {
  if (config.mode == Mode::sync && config.late == Late::drop)
    return "late = \"drop\": it will not be fused";
  if (config.mode == Mode::sync && config.late == Late::log)
    return "late = \"log\": it will be measured and not fused";
  if (staleness > config.staleness_max)
    return fmt::format("staleness_max = {}: it will be rejected", config.staleness_max);
  if (config.gamma == 0) return "gamma = 0: it will be rejected";
  if (!takes_weights(config))
    return fmt::format(
        "late = \"next\": it will count like the others, as op = \"{}\" takes no weights",
        config.op.method);
  return fmt::format("{}its weight will be multiplied by {:g} (gamma = {:g}, to the power of {})",
                     config.mode == Mode::sync ? "late = \"next\": " : "",
                     std::pow(config.gamma, static_cast<double>(staleness)),
                     config.gamma,
                     staleness);
}

std::string note_of(const State& state, const Config& config, const Submitted& submitted) {
  if (submitted.staleness == 0) return "";
  return fmt::format("base {} is {} old, the current one is {}; {}",
                     submitted.from.substr(0, 12),
                     counted(static_cast<std::size_t>(submitted.staleness),
                             config.mode == Mode::sync ? "round" : "version"),
                     state.base().substr(0, 12),
                     fate(config, submitted.staleness));
}

// Digests are written in small letters here, and in capitals elsewhere.
std::string in_small_letters(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

Result<Submitted> submit(Files& files, const Path& folder, const Submission& submission) {
  Result<Identity> identity = read_identity(files, folder);
  if (!identity) return std::move(identity).error();
  Result<const Contributor*> contributor =
      contributor_named(identity->config, submission.contributor);
  if (!contributor) return std::move(contributor).error();
  Result<State> state = State::look(files, folder, identity->base);
  if (!state) return std::move(state).error();
  if (Result<void> open = check_open(*state, identity->config); !open)
    return std::move(open).error();
  Result<std::string> from = base_named(files, folder, in_small_letters(submission.from));
  if (!from) return std::move(from).error();
  if (Result<void> sound = check_digest(files, base_file(folder, *from), *from); !sound)
    return std::move(sound).error();
  Path model = submission.model;
  if (files.exists(model / "model.safetensors")) model /= "model.safetensors";
  Result<checkpoint::TensorFile> opened = checkpoint::TensorFile::open(files, model);
  if (!opened) return std::move(opened).error();
  Result<double> norm =
      sound_norm(files, base_file(folder, *from), model, submission.contributor, 0);
  if (!norm) {
    Error error = std::move(norm).error();
    error.hint = "nothing was submitted";
    return error;
  }

  Result<std::string> sha256 = keep_copy(files, model, folder / "contributions");
  if (!sha256) return std::move(sha256).error();
  Submission kept = submission;
  kept.from = *from;
  kept.model = relative_to(folder, contribution_file(folder, *sha256));
  if (kept.tokens == 0) kept.tokens = (*contributor)->tokens;
  if (Result<void> made = files.make_folders(inbox(folder)); !made) return std::move(made).error();
  const std::string text = to_json(kept).dump() + "\n";
  Submitted submitted{
      .from = *from, .staleness = staleness_of(*state, identity->config, *from), .note = {}};
  submitted.note = note_of(*state, identity->config, submitted);
  // Several may submit at once: each takes a number of its own.
  for (std::int64_t number = 1;; ++number) {
    const Path file = submission_file(folder, number);
    if (files.exists(file)) continue;
    Result<bool> written = files.write_exclusively(file, text);
    if (!written) return std::move(written).error();
    if (*written) return submitted.number = number, submitted;
  }
}

}  // namespace ration::fuse
