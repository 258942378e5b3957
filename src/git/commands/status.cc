#include <fmt/format.h>

#include <algorithm>

#include "base/mapped_pages.h"
#include "base/text.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "git/commands.h"
#include "git/filter.h"
#include "git/installation.h"
#include "git/tracked.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::Manifest;

std::string_view word_of(WorkFile work) {
  switch (work) {
    case WorkFile::gone:
      return "not in the work tree";
    case WorkFile::manifest:
      return "a manifest only";
    case WorkFile::unmodified:
      return "";
    case WorkFile::modified:
      return "modified";
    case WorkFile::conflict:
      return "in a conflict";
  }
  return "";
}

std::string text_of(const TrackedFile& file, const TensorChanges& changes) {
  if (!file.head) return "first version";
  std::vector<std::string> parts;
  const auto say = [&](std::size_t count, const char* word) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, word));
  };
  say(changes.changed, "changed");
  say(changes.added, "new");
  say(changes.removed, "removed");
  if (changes.other_bytes) parts.emplace_back("other bytes");
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

// The version in the work tree, as an add would make it.
Result<std::optional<Manifest>> made_from_work(Repository& repository,
                                               RationFilter& filter,
                                               const TrackedFile& file) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  Spool content(repository.store_folder() / "tmp");
  Result<std::unique_ptr<MappedFile>> mapped = real_files().map(*top / file.path);
  if (!mapped) return std::move(mapped).error();
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::span<const std::byte> piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    Result<void> done = content.append({reinterpret_cast<const char*>(piece.data()), piece.size()});
    if (!done) return std::move(done).error();
    release_pages(**mapped, at, at + piece.size());
  }
  Result<std::string> text = filter.clean(file.path, content);
  if (!text) return std::move(text).error();
  Result<Manifest> manifest = versions::parse_manifest(*text);
  return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
}

struct Line {
  TrackedFile file;
  std::optional<Manifest> newest;  // of work tree, index
  TensorChanges changes;           // of the newest against HEAD
};

Json to_json(const Line& line) {
  constexpr std::array<const char*, 5> kWork = {
      "gone", "manifest", "unmodified", "modified", "conflict"};
  Json json = {{"path", line.file.path},
               {"work_tree", kWork.at(static_cast<std::size_t>(line.file.work))},
               {"missing_objects", line.file.missing_objects},
               {"kind",
                !line.newest            ? "plain"
                : line.newest->opaque() ? "opaque"
                                        : "checkpoint"}};
  if (!line.newest) return json;
  json["bytes"] = line.newest->size;
  json["tensors"] = line.newest->tensors.size();
  json["first_version"] = !line.file.head.has_value();
  json["against_head"] = {{"changed", line.changes.changed},
                          {"added", line.changes.added},
                          {"removed", line.changes.removed},
                          {"other_bytes", line.changes.other_bytes}};
  return json;
}

std::vector<std::string> row_of(const Line& line) {
  std::string state(word_of(line.file.work));
  if (line.file.missing_objects > 0)
    state += fmt::format(
        "{}{} missing", state.empty() ? "" : ", ", counted(line.file.missing_objects, "object"));
  if (!line.newest) {
    const char* kind = line.file.work == WorkFile::conflict ? "-" : "plain";
    return {line.file.path, kind, "-", "-", "-", state};
  }
  return {line.file.path,
          line.newest->opaque() ? "opaque" : "checkpoint",
          format_quantity(static_cast<double>(line.newest->size), "B"),
          line.newest->opaque() ? "-" : std::to_string(line.newest->tensors.size()),
          text_of(line.file, line.changes),
          state};
}

Result<int> run_status(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<std::vector<TrackedFile>> files = tracked_files(*repository);
  if (!files) return std::move(files).error();
  RationFilter filter(*repository, arguments.console);
  std::vector<std::vector<std::string>> rows = {
      {"file", "kind", "size", "tensors", "against HEAD", "here"}};
  Json list = Json::array();
  for (TrackedFile& file : *files) {
    Line line{.file = std::move(file), .newest = {}, .changes = {}};
    line.newest = line.file.index;
    if (line.file.work == WorkFile::modified) {
      Result<std::optional<Manifest>> made = made_from_work(*repository, filter, line.file);
      if (!made) return std::move(made).error();
      if (*made) line.newest = std::move(*made);
    }
    if (line.newest)
      line.changes = changes_between(line.file.head ? &*line.file.head : nullptr, *line.newest);
    list.push_back(to_json(line));
    rows.push_back(row_of(line));
  }
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", "ration.git-status/1"}, {"files", list}});
  else if (rows.size() > 1)
    arguments.console.print(cli::without_control_bytes(cli::table(rows)));
  else
    arguments.console.note("no file goes through git-ration: `git ration track` names some");
  if (!repository->settings().remote.empty()) {
    const Result<Hook> hook = find_hook(*repository);
    if (hook && (hook->state == HookState::foreign || hook->state == HookState::none))
      arguments.console.note(
          "`git push` sends no objects here, as no hook calls git-ration: `git ration install` "
          "tells how; `git ration push` sends them");
  }
  return 0;
}

}  // namespace

cli::Command status_command() {
  return {
      .name = "status",
      .summary = "Show the checkpoints of the work tree: what changed, and what is missing",
      .description =
          "The size and the tensors are those of the work tree, or of the index where that is "
          "unmodified;\nchanges are counted against HEAD. \"plain\" are files that git has from "
          "before they were tracked,\n\"opaque\" those that are no safetensors files: their "
          "bytes are kept as they are.",
      .execute = run_status};
}

}  // namespace ration::git
