// The store as a whole: gc, repack, fsck, stats.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/json.h"
#include "base/text.h"
#include "git/commands.h"
#include "git/manifests.h"
#include "git/repository.h"
#include "git/workshop.h"
#include "versions/collect.h"
#include "versions/restore.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::Manifest;

versions::CountProgress shown(const cli::Console& console, std::string what) {
  return [&console, what = std::move(what)](std::uint64_t done, std::uint64_t total) {
    if (console.live && done % 64 == 0)
      console.progress(fmt::format("{} {} of {}", what, done, total));
  };
}

std::vector<Manifest> contents(std::vector<FoundManifest> found) {
  std::vector<Manifest> manifests;
  for (FoundManifest& entry : found) manifests.push_back(std::move(entry.manifest));
  return manifests;
}

std::string bytes_text(std::uint64_t bytes) {
  return format_quantity(static_cast<double>(bytes), "B");
}

Result<int> run_gc(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<std::optional<double>> age = arguments.quantity("min-age", "s");
  if (!age) return std::move(age).error();
  if (arguments.flag("remove")) Workshop::remove_leftovers(*repository);
  versions::CollectOptions options{.remove = arguments.flag("remove")};
  if (*age) options.min_age = **age;
  const Result<versions::Collected> done = versions::collect(
      repository->store(),
      [&]() -> Result<std::vector<Manifest>> {
        Result<std::vector<FoundManifest>> found = all_manifests(*repository);
        if (!found) return std::move(found).error();
        return contents(std::move(*found));
      },
      system_clock(),
      options);
  if (!done) return done.error();
  if (arguments.console.json) {
    arguments.console.print_json(Json{{"schema", "ration.git-gc/1"},
                                      {"removed", options.remove},
                                      {"objects", done->removed},
                                      {"bytes", done->removed_bytes},
                                      {"leftovers", done->leftovers},
                                      {"needed", done->needed},
                                      {"young", done->young}});
    return 0;
  }
  const std::string what = fmt::format("{} that nothing needs ({}) and {}",
                                       counted(done->removed, "object"),
                                       bytes_text(done->removed_bytes),
                                       counted(done->leftovers, "leftover file"));
  arguments.console.print(fmt::format("{} {}; {} older ones needed, {} too young\n",
                                      options.remove ? "removed" : "would remove",
                                      what,
                                      done->needed,
                                      done->young));
  if (!options.remove && done->removed + done->leftovers > 0)
    arguments.console.note("`git ration gc --remove` removes them");
  return 0;
}

Result<int> run_repack(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<std::vector<FoundManifest>> found = manifests_of_commits(*repository, {"--all"});
  if (!found) return std::move(found).error();
  std::map<std::string, std::vector<Manifest>> by_path;
  for (FoundManifest& entry : *found) by_path[entry.path].push_back(std::move(entry.manifest));
  std::vector<std::vector<Manifest>> files;
  for (auto& [path, versions] : by_path) files.push_back(std::move(versions));
  const Result<versions::Repacked> done =
      versions::repack(repository->store(),
                       files,
                       repository->settings().threads,
                       shown(arguments.console, "repack: object"));
  if (!done) return done.error();
  if (arguments.console.json) {
    arguments.console.print_json(Json{{"schema", "ration.git-repack/1"},
                                      {"objects", done->objects},
                                      {"bytes_before", done->bytes_before},
                                      {"bytes_after", done->bytes_after}});
    return 0;
  }
  arguments.console.print(fmt::format("{} encoded anew: {} before, {} now\n",
                                      counted(done->objects, "object"),
                                      bytes_text(done->bytes_before),
                                      bytes_text(done->bytes_after)));
  return 0;
}

// Moves damaged files out of the way, so that a fetch or an add can put good ones in their place.
Result<void> set_aside(const versions::ObjectStore& store,
                       const std::vector<versions::BadObject>& bad) {
  const Path folder = store.folder() / "damaged";
  for (const versions::BadObject& object : bad) {
    if (!object.itself) continue;  // good again when what it builds on is
    if (Result<void> done = store.files().make_folders(folder); !done) return done;
    if (Result<void> done = store.files().rename(store.path_of(object.id), folder / object.id.hex);
        !done)
      return done;
  }
  return {};
}

Result<int> run_fsck(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const versions::ObjectStore store = repository->store();
  Result<std::vector<FoundManifest>> found = all_manifests(*repository);
  if (!found) return std::move(found).error();
  const Result<std::vector<versions::BadObject>> bad = versions::check_objects(
      store, repository->settings().threads, shown(arguments.console, "fsck: object"));
  if (!bad) return bad.error();
  std::vector<versions::ObjectId> missing;
  for (const FoundManifest& entry : *found)
    for (const versions::ObjectId& id : versions::objects_of(entry.manifest))
      if (!store.contains(id)) missing.push_back(id);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (arguments.flag("set-aside"))
    if (Result<void> done = set_aside(store, *bad); !done) return std::move(done).error();
  if (arguments.console.json) {
    Json damaged = Json::array();
    for (const versions::BadObject& object : *bad)
      damaged.push_back({{"object", object.id.hex}, {"reason", object.reason}});
    Json absent = Json::array();
    for (const versions::ObjectId& id : missing) absent.push_back(id.hex);
    arguments.console.print_json(Json{{"schema", "ration.git-fsck/1"},
                                      {"manifests", found->size()},
                                      {"damaged", damaged},
                                      {"missing", absent}});
  } else {
    for (const versions::BadObject& object : *bad)
      arguments.console.print(fmt::format("damaged {}: {}\n", object.id.hex, object.reason));
    for (const versions::ObjectId& id : missing)
      arguments.console.print(fmt::format("missing {}\n", id.hex));
    arguments.console.print(fmt::format("{}, {} damaged, {} missing\n",
                                        counted(found->size(), "manifest"),
                                        counted(bad->size(), "object"),
                                        counted(missing.size(), "object")));
  }
  return bad->empty() && missing.empty() ? 0 : 1;
}

Result<int> run_stats(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<std::vector<FoundManifest>> found = all_manifests(*repository);
  if (!found) return std::move(found).error();
  const Result<versions::StoreStatistics> sum = versions::statistics(repository->store());
  if (!sum) return sum.error();
  std::uint64_t file_bytes = 0;
  for (const FoundManifest& entry : *found) file_bytes += entry.manifest.size;
  if (arguments.console.json) {
    arguments.console.print_json(Json{{"schema", "ration.git-stats/1"},
                                      {"versions", found->size()},
                                      {"version_bytes", file_bytes},
                                      {"objects", sum->objects},
                                      {"stored_bytes", sum->bytes},
                                      {"object_bytes", sum->logical_bytes},
                                      {"full", sum->full},
                                      {"deltas", sum->deltas},
                                      {"factored", sum->factored},
                                      {"delta_bytes", sum->delta_bytes},
                                      {"deepest", sum->deepest},
                                      {"damaged", sum->damaged}});
    return 0;
  }
  arguments.console.print(
      fmt::format("versions   {} of {} in all\n"
                  "objects    {} of {}\n"
                  "stored     {}\n"
                  "full       {}\n"
                  "deltas     {} of {}; {} with a low-rank factor; chains of up to {}\n",
                  found->size(),
                  bytes_text(file_bytes),
                  sum->objects,
                  bytes_text(sum->logical_bytes),
                  bytes_text(sum->bytes),
                  sum->full,
                  sum->deltas,
                  bytes_text(sum->delta_bytes),
                  sum->factored,
                  sum->deepest));
  if (sum->damaged > 0)
    arguments.console.note(
        fmt::format("{} damaged: see `git ration fsck`", counted(sum->damaged, "object")));
  return 0;
}

}  // namespace

cli::Command gc_command() {
  return {.name = "gc",
          .summary = "Remove objects that no version needs",
          .options = {{.name = "remove", .help = "remove them; without it they are counted only"},
                      {.name = "min-age",
                       .value = "SECONDS",
                       .default_value = "14d",
                       .help = "younger objects stay, as git keeps what nothing leads to for two "
                               "weeks; an add may be about to name them"}},
          .description =
              "A version is needed while git has its manifest: in any branch, tag, stash or index, "
              "or in a\n"
              "commit that only a reflog knows. Run `git gc` before, which drops those that are "
              "old enough.",
          .execute = run_gc};
}

cli::Command repack_command() {
  return {.name = "repack",
          .summary = "Encode old versions on newer ones, so that the newest is read fastest",
          .description = "The contents, their ids and all commits stay what they are.",
          .execute = run_repack};
}

cli::Command fsck_command() {
  return {.name = "fsck",
          .summary = "Decode every object and compare it with its id",
          .options = {{.name = "set-aside",
                       .help = "move damaged files to .git/ration/damaged, so that `git ration "
                               "fetch`, or adding the checkpoint again, can replace them"}},
          .description = "Exit code 1 where something is damaged or missing.",
          .execute = run_fsck};
}

cli::Command stats_command() {
  return {.name = "stats", .summary = "Count versions, objects and bytes", .execute = run_stats};
}

}  // namespace ration::git
