#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/safetensors.h"
#include "fuse/folder.h"
#include "fuse/measure.h"

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

Result<bool> is_over(Files& files, const Path& folder, const Config& config) {
  Result<std::vector<RoundRecord>> rounds = rounds_of(files, folder);
  if (!rounds) return std::move(rounds).error();
  return static_cast<std::int64_t>(rounds->size()) >= config.rounds;
}

}  // namespace

Result<std::int64_t> submit(Files& files, const Path& folder, const Submission& submission) {
  Result<Identity> identity = read_identity(files, folder);
  if (!identity) return std::move(identity).error();
  Result<const Contributor*> contributor =
      contributor_named(identity->config, submission.contributor);
  if (!contributor) return std::move(contributor).error();
  Result<bool> over = is_over(files, folder, identity->config);
  if (!over) return std::move(over).error();
  if (*over)
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format("{} of {}: all are done",
                            counted(static_cast<std::size_t>(identity->config.rounds), "round"),
                            folder.string()),
        .hint = "raise `rounds` in the sweep file, and run it again"};
  Result<std::string> from = base_named(files, folder, submission.from);
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
  // Several may submit at once: each takes a number of its own.
  for (std::int64_t number = 1;; ++number) {
    const Path file = submission_file(folder, number);
    if (files.exists(file)) continue;
    Result<bool> written = files.write_exclusively(file, text);
    if (!written) return std::move(written).error();
    if (*written) return number;
  }
}

}  // namespace ration::fuse
