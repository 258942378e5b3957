// What changed between versions: `git ration diff`, and what git calls for its own diffs.

#include <fmt/format.h>

#include "cli/terminal_text.h"
#include "git/commands.h"
#include "git/difference_text.h"
#include "git/raw_diff.h"
#include "git/sides.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::Difference;
using versions::Source;

struct FileDifference {
  std::string path;
  std::string status;
  Difference difference;
};

bool holds_manifest(Repository& repository, const std::string& id) {
  if (is_zero(id)) return false;
  const Result<std::optional<std::string>> text = repository.blob(id);
  return text && *text && (*text)->starts_with(versions::kManifestBegin);
}

// The files among `changes` that are checkpoints.
Result<std::vector<FileChange>> checkpoints_of(Repository& repository,
                                               std::vector<FileChange> changes) {
  std::vector<std::string> paths;
  for (const FileChange& change : changes) paths.push_back(change.path);
  Result<std::vector<bool>> tracked = are_tracked(repository, paths);
  if (!tracked) return std::move(tracked).error();
  std::vector<FileChange> kept;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    FileChange& change = changes[i];
    if ((*tracked)[i] || holds_manifest(repository, change.before[0]) ||
        holds_manifest(repository, change.after))
      kept.push_back(std::move(change));
  }
  return kept;
}

Result<FileDifference> difference_of(Repository& repository,
                                     const versions::ObjectStore& store,
                                     const FileChange& change) {
  Result<Source> before = source_of_blob(repository, store, change.before[0]);
  if (!before) return std::move(before).error();
  Result<Source> after = Source::absent(store);
  if (!is_zero(change.after)) {
    after = source_of_blob(repository, store, change.after);
  } else if (change.status != "D") {
    Result<Path> top = repository.work_tree();
    if (!top) return std::move(top).error();
    after = source_of_file(repository, store, *top / change.path);
  }
  if (!after) return std::move(after).error();
  return FileDifference{change.path,
                        change.status,
                        compare(*before, *after, {.threads = repository.settings().threads})};
}

Result<std::vector<FileChange>> changed_files(const Repository& repository,
                                              const Arguments& arguments) {
  std::vector<std::string> words;
  if (!repository.prefix().empty()) words = {"-C", repository.prefix()};
  words.insert(words.end(),
               {"diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-relative"});
  if (arguments.flag("cached")) words.push_back("--cached");
  words.insert(words.end(), arguments.positional.begin(), arguments.positional.end());
  Result<Answer> answer = repository.git(std::move(words));
  if (!answer) return std::move(answer).error();
  if (!answer->ok())
    return Error{.kind = ErrorKind::usage,
                 .what = answer->words(),
                 .hint = "name revisions, blobs (REV:PATH) or paths, as for `git diff`"};
  return parse_raw_diff(answer->out);
}

Result<int> run_diff(const Arguments& arguments) {
  const cli::Console& console = arguments.console;
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<std::vector<FileChange>> changes = changed_files(*repository, arguments);
  if (!changes) return std::move(changes).error();
  changes = checkpoints_of(*repository, std::move(*changes));
  if (!changes) return std::move(changes).error();
  const versions::ObjectStore store = repository->store();
  Json files = Json::array();
  for (const FileChange& change : *changes) {
    if (change.status == "U") {
      console.note(
          fmt::format("{0} is in conflict; see `git ration diff :2:{0} :3:{0}`", change.path));
      continue;
    }
    Result<FileDifference> file = difference_of(*repository, store, change);
    if (!file) return std::move(file).error().with_context(change.path);
    const std::string table = difference_table(file->difference);
    if (table.empty()) continue;  // touched, but the same
    if (console.json) {
      Json json = to_json(file->difference);
      json["path"] = file->path;
      json["status"] = file->status;
      files.push_back(std::move(json));
    } else {
      console.print(fmt::format("{}{}\n{}", files.empty() ? "" : "\n", file->path, table));
      files.push_back(file->path);
    }
  }
  if (console.json) console.print_json({{"schema", "ration.git-diff/1"}, {"files", files}});
  return 0;
}

// A side of git's own diff: a file that git made, and the id of its blob, zeros where it is not
// known. Where the id is known, the manifest is: the file need not be read.
Result<Source> side(Repository& repository,
                    const versions::ObjectStore& store,
                    const std::string& file,
                    const std::string& id) {
  if (id != "." && !is_zero(id) && holds_manifest(repository, id))
    return source_of_blob(repository, store, id);
  return source_of_file(repository, store, file);
}

// path old-file old-hex old-mode new-file new-hex new-mode [new-path words]; of a path in conflict
// the path alone.
Result<int> run_diff_driver(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional;
  const std::string path = words.size() > 7 ? words[7] : words[0];
  if (words.size() < 7) {
    arguments.console.print(fmt::format("* Unmerged path {}\n", path));
    return 0;
  }
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const versions::ObjectStore store = repository->store();
  std::string text = fmt::format("diff --ration a/{} b/{}\n", words[0], path);
  if (words.size() > 8) text += words[8];  // of a renamed file: how similar, from where
  Result<Source> before = side(*repository, store, words[1], words[2]);
  Result<Source> after = side(*repository, store, words[4], words[5]);
  // An error would end git's whole diff.
  for (const auto* one : {&before, &after})
    if (!*one) text += fmt::format("not compared: {}\n", one->error().what);
  if (before && after)
    text += difference_table(compare(*before, *after, {.threads = repository->settings().threads}));
  arguments.console.print(cli::without_control_bytes(text));
  return 0;
}

Result<int> run_textconv(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const versions::ObjectStore store = repository->store();
  Result<Source> source = source_of_file(*repository, store, arguments.positional[0]);
  if (!source) return std::move(source).error();
  const versions::Manifest& manifest = source->manifest();
  if (manifest.opaque()) {
    arguments.console.print(fmt::format("{} bytes sha256:{}\n", manifest.size, manifest.file.hex));
    return 0;
  }
  Result<checkpoint::Metadata> metadata = source->metadata();
  if (metadata)
    for (const auto& [key, value] : *metadata)
      arguments.console.print(fmt::format("metadata {} {}\n", key, value));
  for (const versions::ManifestTensor& tensor : manifest.tensors)
    arguments.console.print(fmt::format("{} {} {} sha256:{}\n",
                                        tensor.name,
                                        checkpoint::name(tensor.dtype),
                                        fmt::join(tensor.shape, "x"),
                                        tensor.id.hex.substr(0, 16)));
  return 0;
}

}  // namespace

cli::Command diff_command() {
  return {
      .name = "diff",
      .summary = "Say what changed between two versions, tensor by tensor",
      .arguments = "[REV [REV]] [PATH …]",
      .max_arguments = 1000,
      .options = {{.name = "cached",
                   .help = "Compare the index with HEAD, or with REV, instead of the work tree "
                           "with the index."}},
      .description =
          "Words are those of `git diff`: nothing (the work tree against the index), a revision,\n"
          "two of them, A..B, A...B, two blobs (:2:model.safetensors), and paths. Of each tensor\n"
          "that changed: the share of entries whose bits differ, the length of the difference\n"
          "over that of the old tensor, the cosine of old and new, the largest step, and the\n"
          "rank of the difference where it is low (matrices of 64 rows and columns or more;\n"
          "\"-\" is full). NaN and infinity count in no sum. Tensors are sorted by the third.\n"
          "Manifests are read, and tensors that changed; nothing is checked out.\n"
          "\n"
          "  git ration diff HEAD~1 HEAD",
      .execute = run_diff};
}

cli::Command diff_driver_command() {
  return {.name = "diff-driver",
          .summary = "Print what changed, for git (diff.ration.command)",
          .arguments = "PATH OLD-FILE OLD-ID OLD-MODE NEW-FILE NEW-ID NEW-MODE",
          .min_arguments = 1,
          .max_arguments = 9,
          .execute = run_diff_driver,
          .hidden = true};
}

cli::Command textconv_command() {
  return {.name = "textconv",
          .summary = "Print a checkpoint as one line a tensor (diff.ration.textconv)",
          .arguments = "FILE",
          .min_arguments = 1,
          .max_arguments = 1,
          .execute = run_textconv,
          .hidden = true};
}

}  // namespace ration::git
