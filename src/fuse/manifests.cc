// The manifests of the closed rounds, each held to its place.

#include <fmt/format.h>

#include <algorithm>

#include "fuse/folder.h"

namespace ration::fuse {
namespace {

Error refused(std::string what) {
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = "restore it from a copy, or begin the fusion anew under another name"};
}

Result<RoundRecord> read_round(Files& files, const Path& folder, const Path& file) {
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file.string());
  if (!json) return std::move(json).error();
  return round_from_json(*json, folder, file.string());
}

// `before`: the base that the round must begin with.
Result<void> check_place(const Path& file,
                         const RoundRecord& record,
                         std::int64_t round,
                         const std::string& before) {
  if (record.round != round)
    return refused(fmt::format("{} is the manifest of round {}", file.string(), record.round));
  if (record.base != before)
    return refused(fmt::format("{} begins with base {}, but {} {}",
                               file.string(),
                               record.base.substr(0, 12),
                               round == 1 ? "the fusion with" : "the round before it ended with",
                               before.substr(0, 12)));
  const bool keeps =
      record.status == RoundStatus::empty || record.status == RoundStatus::rolled_back;
  if (!keeps && record.status != RoundStatus::fused)
    return refused(
        fmt::format("{} is {}, which no closed round is", file.string(), name(record.status)));
  if (keeps && record.next != record.base)
    return refused(
        fmt::format("{} is {}, but its base changes", file.string(), name(record.status)));
  return {};
}

// Only that the files are there: whoever computes with one takes its digest.
Result<void> check_named_files(Files& files,
                               const Path& folder,
                               const Path& file,
                               const RoundRecord& record) {
  std::vector<Path> named = {record.base_file, record.next_file};
  if (!record.velocity.empty()) named.push_back(velocity_file(folder, record.velocity));
  for (const Contribution& each : record.contributions)
    if (each.verdict == Verdict::accepted) named.push_back(base_file(folder, each.trained_from));
  for (const Path& each : named)
    if (!files.exists(each))
      return refused(fmt::format("{} is gone, which {} names", each.string(), file.string()));
  return {};
}

// A manifest behind one that is missing would never be read.
Result<void> check_last(Files& files, const Path& folder, std::int64_t last) {
  const Path missing = round_file(folder, last + 1);
  if (!files.exists(missing.parent_path())) return {};
  Result<std::vector<std::string>> names = files.list(missing.parent_path());
  if (!names) return std::move(names).error();
  for (const std::string& each : *names)
    if (each.starts_with("round-") && each.ends_with(".json") && each > missing.filename().string())
      return refused(fmt::format("{} is gone, and {} is there", missing.string(), each));
  return {};
}

}  // namespace

Result<std::vector<RoundRecord>> rounds_of(Files& files,
                                           const Path& folder,
                                           const std::string& first) {
  std::vector<RoundRecord> rounds;
  std::string base = first;
  for (std::int64_t round = 1; files.exists(round_file(folder, round)); ++round) {
    const Path file = round_file(folder, round);
    Result<RoundRecord> record = read_round(files, folder, file);
    if (!record) return std::move(record).error();
    Result<void> sound = check_place(file, *record, round, base);
    if (sound) sound = check_named_files(files, folder, file, *record);
    if (!sound) return std::move(sound).error();
    base = record->next;
    rounds.push_back(std::move(*record));
  }
  if (Result<void> whole = check_last(files, folder, static_cast<std::int64_t>(rounds.size()));
      !whole)
    return std::move(whole).error();
  return rounds;
}

Result<std::vector<RoundRecord>> rounds_of(Files& files, const Path& folder) {
  Result<Identity> identity = read_identity(files, folder);
  if (!identity) return std::move(identity).error();
  return rounds_of(files, folder, identity->base);
}

}  // namespace ration::fuse
