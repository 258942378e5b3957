#include <fmt/format.h>

#include "base/hash.h"
#include "git/commands.h"
#include "git/missing.h"
#include "git/repository.h"
#include "versions/restore.h"

namespace ration::git {
namespace {

using cli::Arguments;

// What a name stands for in git.
struct Committed {
  std::string text;                            // the blob
  std::optional<versions::Manifest> manifest;  // none: a file that git has as it is
};

Result<Committed> read_committed(Repository& repository, const std::string& name) {
  Result<std::optional<std::string>> text = repository.blob(name);
  if (!text) return std::move(text).error();
  if (!*text)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} is no file in git", name),
                 .hint = "REV:PATH with the path from the top, as HEAD~1:models/a.safetensors"};
  Committed committed{.text = std::move(**text), .manifest = std::nullopt};
  if (!committed.text.starts_with(versions::kManifestBegin)) return committed;
  Result<versions::Manifest> manifest = versions::parse_manifest(committed.text);
  if (!manifest) return std::move(manifest).error().with_context(name);
  committed.manifest = std::move(*manifest);
  return committed;
}

// Where programs that are not told a place find it: one file for the same bytes, whatever they are
// called.
Path place_of(const Repository& repository, const Committed& committed) {
  const std::string digest =
      committed.manifest ? committed.manifest->file.hex : sha256_hex(committed.text);
  return repository.store_folder() / "exports" / (digest + ".safetensors");
}

Result<void> write(Repository& repository, const Committed& committed, const Path& file) {
  const versions::ObjectStore store = repository.store();
  if (!committed.manifest) return store.files().write_whole(file, committed.text);
  const versions::Manifest& manifest = *committed.manifest;
  if (Result<void> done = fetch_missing(repository, std::span(&manifest, 1)); !done) return done;
  return restore_to_file(store, manifest, file, repository.settings().threads);
}

Result<int> run_export(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const std::string& name = arguments.positional[0];
  const Result<Committed> committed = read_committed(*repository, name);
  if (!committed) return committed.error();
  const bool named = arguments.positional.size() > 1;
  const Path file = named ? Path(arguments.positional[1]) : place_of(*repository, *committed);
  Result<void> done;
  if (!named) done = real_files().make_folders(file.parent_path());
  if (done && (named || !real_files().exists(file))) done = write(*repository, *committed, file);
  if (!done) return std::move(done).error().with_context(name);
  if (arguments.console.json)
    arguments.console.print_json(
        Json{{"schema", "ration.git-export/1"}, {"name", name}, {"file", file.string()}});
  else if (!named)
    arguments.console.print(file.string() + "\n");
  return 0;
}

}  // namespace

cli::Command export_command() {
  return {.name = "export",
          .summary = "Write one version of a checkpoint into a file",
          .arguments = "REV:PATH [FILE]",
          .min_arguments = 1,
          .max_arguments = 2,
          .description =
              "The work tree stays as it is. The file appears whole, with the bytes that were\n"
              "committed, or not at all; a file of that name is replaced. During a merge, :1:PATH\n"
              "is the common ancestor, :2:PATH ours, :3:PATH theirs. Without FILE it lies in\n"
              ".git/ration/exports, named by its digest, and its path is printed: what a run "
              "begins with\n"
              "under `init = \"git:REV:PATH\"`. These files may be removed when no run waits for "
              "them.\n"
              "\n"
              "  git ration export v1:model.safetensors /tmp/v1.safetensors",
          .execute = run_export};
}

}  // namespace ration::git
