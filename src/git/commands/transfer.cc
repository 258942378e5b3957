// Objects to and from a remote: push, fetch, pull, and what git's hook calls before a push.

#include "git/transfer.h"

#include <fmt/format.h>

#include <iostream>

#include "base/json.h"
#include "base/text.h"
#include "git/commands.h"
#include "git/manifests.h"
#include "git/remote.h"
#include "versions/restore.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::Manifest;

std::vector<Manifest> contents(const std::vector<FoundManifest>& found) {
  std::vector<Manifest> manifests;
  for (const FoundManifest& entry : found) manifests.push_back(entry.manifest);
  return manifests;
}

std::string amount(const Transferred& sum) {
  return fmt::format("{} ({})",
                     counted(sum.objects, "object"),
                     format_quantity(static_cast<double>(sum.bytes), "B"));
}

TransferProgress shown(const cli::Console& console, const std::string& place) {
  return [&console, place](std::uint64_t done, std::uint64_t total) {
    if (console.live)
      console.progress(fmt::format("push to {}: {} of {}", place, done, counted(total, "object")));
  };
}

Result<Transferred> push(Repository& repository,
                         Remote& remote,
                         const std::vector<std::string>& commits,
                         const cli::Console& console) {
  const Result<std::vector<FoundManifest>> found = manifests_of_commits(repository, commits);
  if (!found) return found.error();
  if (found->empty()) return Transferred{};
  return push_objects(repository.store(), remote, contents(*found), shown(console, remote.place()));
}

Result<int> run_push(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const std::string name =
      arguments.positional.empty() ? usual_remote(*repository) : arguments.positional[0];
  Result<std::unique_ptr<Remote>> remote = open_remote(*repository, name, Way::push);
  if (!remote) return std::move(remote).error();
  std::vector<std::string> commits(
      arguments.positional.begin() + (arguments.positional.empty() ? 0 : 1),
      arguments.positional.end());
  if (arguments.flag("all")) commits = {"--all"};
  if (commits.empty()) commits = {"HEAD"};
  const Result<Transferred> sum = push(*repository, **remote, commits, arguments.console);
  if (!sum) return sum.error();
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", "ration.git-push/1"},
                                      {"remote", (*remote)->place()},
                                      {"objects", sum->objects},
                                      {"bytes", sum->bytes}});
  else
    arguments.console.print(fmt::format("{} sent to {}\n", amount(*sum), (*remote)->place()));
  return 0;
}

// git tells the hook what it is about to push, a line each: local ref, its commit, remote ref, its
// commit there. Commits of zeros stand for nothing.
Result<int> run_pre_push(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  if (repository->settings().remote.empty()) return 0;
  const auto is_nothing = [](const std::string& commit) {
    return commit.find_first_not_of('0') == std::string::npos;
  };
  std::vector<std::string> commits;
  std::vector<std::string> there = {"--not", "--remotes=" + arguments.positional[0]};
  std::string local;
  std::string local_commit;
  std::string remote_ref;
  std::string remote_commit;
  while (std::cin >> local >> local_commit >> remote_ref >> remote_commit) {
    if (!is_nothing(local_commit)) commits.push_back(local_commit);
    const Result<Answer> known = is_nothing(remote_commit)
                                     ? Result<Answer>(Answer{.status = 1})
                                     : repository->git({"cat-file", "-e", remote_commit});
    if (known && known->ok()) there.push_back(remote_commit);
  }
  if (commits.empty()) return 0;
  commits.insert(commits.end(), there.begin(), there.end());
  Result<std::unique_ptr<Remote>> remote =
      open_remote(*repository, arguments.positional[0], Way::push);
  if (!remote) return std::move(remote).error();
  const Result<Transferred> sum = push(*repository, **remote, commits, arguments.console);
  if (!sum) return sum.error();
  if (sum->objects > 0)
    arguments.console.note(fmt::format("ration: {} sent to {}", amount(*sum), (*remote)->place()));
  return 0;
}

Result<Fetched> fetch(Repository& repository, const Arguments& arguments, std::string* place) {
  const std::string name =
      arguments.positional.empty() ? usual_remote(repository) : arguments.positional[0];
  Result<std::unique_ptr<Remote>> remote = open_remote(repository, name, Way::fetch);
  if (!remote) return std::move(remote).error();
  *place = (*remote)->place();
  std::vector<Manifest> manifests;
  std::vector<std::string> revisions(
      arguments.positional.begin() + (arguments.positional.empty() ? 0 : 1),
      arguments.positional.end());
  if (revisions.empty()) revisions = {"HEAD"};
  const bool all = arguments.flag("all");
  if (all) revisions = {""};
  for (const std::string& revision : revisions) {
    const Result<std::vector<FoundManifest>> found =
        all ? all_manifests(repository) : manifests_of_tree(repository, revision);
    if (!found) return found.error();
    for (const FoundManifest& entry : *found) manifests.push_back(entry.manifest);
  }
  return fetch_objects(repository.store(), **remote, manifests);
}

Result<int> tell(const Fetched& fetched, const std::string& place, const Arguments& arguments) {
  if (arguments.console.json) {
    Json absent = Json::array();
    for (const versions::ObjectId& id : fetched.absent) absent.push_back(id.hex);
    arguments.console.print_json(Json{{"schema", "ration.git-fetch/1"},
                                      {"remote", place},
                                      {"objects", fetched.transferred.objects},
                                      {"bytes", fetched.transferred.bytes},
                                      {"absent", absent}});
  } else {
    arguments.console.print(fmt::format("{} from {}\n", amount(fetched.transferred), place));
    for (const versions::ObjectId& id : fetched.absent)
      arguments.console.note(
          fmt::format("{} does not have object {}, or not what it builds on", place, id.hex));
  }
  return fetched.absent.empty() ? 0 : 1;
}

Result<int> run_fetch(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  std::string place;
  const Result<Fetched> fetched = fetch(*repository, arguments, &place);
  if (!fetched) return fetched.error();
  return tell(*fetched, place, arguments);
}

// Files that were checked out as manifests become checkpoints. Others are the user's.
Result<std::uint64_t> fill_work_tree(Repository& repository) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  const Result<std::vector<FoundManifest>> found = manifests_of_tree(repository, "HEAD");
  if (!found) return found.error();
  std::uint64_t filled = 0;
  std::string paths;
  for (const FoundManifest& entry : *found) {
    const Path path = *top / entry.path;
    const Result<std::string> begin =
        real_files().read_range(path, 0, versions::kManifestBegin.size());
    if (!begin || *begin != versions::kManifestBegin) continue;
    const Result<std::string> text = real_files().read(path);
    if (!text || *text != to_text(entry.manifest)) continue;
    if (Result<void> done = versions::restore_to_file(
            repository.store(), entry.manifest, path, repository.settings().threads);
        !done)
      return std::move(done).error();
    ++filled;
    // What is staged is the user's.
    const Result<std::optional<std::string>> staged = repository.blob(":0:" + entry.path);
    if (staged && *staged == *text) paths += entry.path + '\0';
  }
  // git takes a file of another size for changed until it has seen the manifest of it.
  Result<Answer> refreshed = repository.git({"update-index", "-q", "-z", "--stdin"}, paths);
  if (!refreshed) return std::move(refreshed).error();
  return filled;
}

Result<int> run_pull(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  std::string place;
  const Result<Fetched> fetched = fetch(*repository, arguments, &place);
  if (!fetched) return fetched.error();
  if (fetched->absent.empty()) {
    const Result<std::uint64_t> filled = fill_work_tree(*repository);
    if (!filled) return filled.error();
    arguments.console.note(fmt::format("{} written", counted(*filled, "checkpoint")));
  }
  return tell(*fetched, place, arguments);
}

const std::string kRemotes =
    "Where objects go is the setting ration.remote: `git config ration.remote git` (hidden refs of "
    "the\n"
    "git server), lfs (its git-lfs storage), or \"directory PATH\".";

}  // namespace

cli::Command push_command() {
  return {.name = "push",
          .summary = "Send the objects of commits, and the parents that they build on",
          .arguments = "[REMOTE [REV …]]",
          .max_arguments = 1000,
          .options = {{.name = "all",
                       .help = "of all branches and tags; without it, and without REV, of HEAD and "
                               "what led to it"}},
          .description =
              "`git push` does this by itself where `git ration install` put its hook. REMOTE is, "
              "unless given,\nthat of the branch, the only one, or origin. Nothing is sent where "
              "an object that a version needs is "
              "neither here nor there.\n" +
              kRemotes,
          .execute = run_push};
}

cli::Command pre_push_command() {
  return {.name = "pre-push",
          .summary = "Called by git's hook before a push",
          .arguments = "REMOTE [URL]",
          .min_arguments = 1,
          .max_arguments = 2,
          .execute = run_pre_push,
          .hidden = true};
}

cli::Command fetch_command() {
  return {
      .name = "fetch",
      .summary = "Get the objects that revisions need",
      .arguments = "[REMOTE [REV …]]",
      .max_arguments = 1000,
      .options =
          {{.name = "all",
            .help = "of every version in this repository; without it, and without REV, of HEAD"}},
      .description = "Exit code 1 where the remote lacks some.\n" + kRemotes,
      .execute = run_fetch};
}

cli::Command pull_command() {
  return {
      .name = "pull",
      .summary =
          "Get the objects that HEAD needs, and put checkpoints where manifests were checked out",
      .arguments = "[REMOTE]",
      .max_arguments = 1,
      .description = "Files that were changed stay as they are.\n" + kRemotes,
      .execute = run_pull};
}

}  // namespace ration::git
