#include <fmt/format.h>

#include "git/commands.h"
#include "git/missing.h"
#include "git/repository.h"
#include "versions/restore.h"

namespace ration::git {
namespace {

using cli::Arguments;

Result<int> run_export(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const std::string& name = arguments.positional[0];
  const Path file = arguments.positional[1];
  Result<std::optional<std::string>> text = repository->blob(name);
  if (!text) return std::move(text).error();
  if (!*text)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} is no file in git", name),
                 .hint = "REV:PATH with the path from the top, as HEAD~1:models/a.safetensors"};
  const versions::ObjectStore store = repository->store();
  Result<void> done;
  if ((*text)->starts_with(versions::kManifestBegin)) {
    Result<versions::Manifest> manifest = versions::parse_manifest(**text);
    if (!manifest) return std::move(manifest).error().with_context(name);
    done = fetch_missing(*repository, std::span(&*manifest, 1));
    if (done) done = restore_to_file(store, *manifest, file, repository->settings().threads);
  } else {
    done = store.files().write_whole(file, **text);
  }
  if (!done) return std::move(done).error().with_context(name);
  if (arguments.console.json)
    arguments.console.print_json(
        Json{{"schema", "ration.git-export/1"}, {"name", name}, {"file", file.string()}});
  return 0;
}

}  // namespace

cli::Command export_command() {
  return {.name = "export",
          .summary = "Write one version of a checkpoint into a file",
          .arguments = "REV:PATH FILE",
          .min_arguments = 2,
          .max_arguments = 2,
          .description =
              "The work tree stays as it is. The file appears whole, with the bytes that were\n"
              "committed, or not at all; a file of that name is replaced. During a merge, :1:PATH\n"
              "is the common ancestor, :2:PATH ours, :3:PATH theirs.\n"
              "\n"
              "  git ration export v1:model.safetensors /tmp/v1.safetensors",
          .execute = run_export};
}

}  // namespace ration::git
