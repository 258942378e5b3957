#include <fmt/format.h>

#include <algorithm>

#include "git/attributes_file.h"
#include "git/commands.h"
#include "git/installation.h"
#include "git/repository.h"

namespace ration::git {
namespace {

using cli::Arguments;

constexpr std::string_view kSchema = "ration.git-track/1";

// A .gitattributes of the work tree and its text; no text where there is no file.
struct AttributesFile {
  Path path;
  std::string text;
};

Result<AttributesFile> read_here(const Repository& repository) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  AttributesFile file{.path = *top / repository.prefix() / ".gitattributes", .text = {}};
  if (!real_files().exists(file.path)) return file;
  Result<std::string> text = real_files().read(file.path);
  if (!text) return std::move(text).error();
  file.text = std::move(*text);
  return file;
}

Result<int> list_patterns(const Repository& repository, const cli::Console& console) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  Result<std::string> listed = repository.ask({"ls-files",
                                               "-z",
                                               "--cached",
                                               "--others",
                                               "--exclude-standard",
                                               "--",
                                               ":(glob)**/.gitattributes"});
  if (!listed) return std::move(listed).error();
  std::vector<std::string> names = fields_of(*listed);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  Json list = Json::array();
  for (const std::string& name : names) {
    if (!real_files().exists(*top / name)) continue;  // removed, not yet in a commit
    Result<std::string> text = real_files().read(*top / name);
    if (!text) return std::move(text).error();
    for (const std::string& pattern : tracked_patterns(*text)) {
      list.push_back({{"pattern", pattern}, {"file", name}});
      if (!console.json) console.print(fmt::format("{}  ({})\n", pattern, name));
    }
  }
  if (console.json) console.print_json(Json{{"schema", kSchema}, {"patterns", list}});
  return 0;
}

// What git has of the pattern already goes through the filter when it is added anew.
void hint_at_plain_files(const Repository& repository,
                         const std::vector<std::string>& patterns,
                         const cli::Console& console) {
  std::vector<std::string> words = {"ls-files", "--cached", "--"};
  for (const std::string& pattern : patterns)
    words.push_back(":(glob)" + repository.prefix() +
                    (pattern.find('/') == std::string::npos ? "**/" : "") + pattern);
  const Result<std::string> there = repository.ask(std::move(words));
  if (there && !there->empty())
    console.note(
        "git has such files already: `git add --renormalize .` turns the next version of them into "
        "manifests");
}

Result<int> run_track(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  if (arguments.positional.empty()) return list_patterns(*repository, arguments.console);
  Result<AttributesFile> file = read_here(*repository);
  if (!file) return std::move(file).error();
  std::string text = file->text;
  for (const std::string& pattern : arguments.positional) {
    Result<std::string> more = with_pattern(text, pattern);
    if (!more) return std::move(more).error();
    text = std::move(*more);
  }
  if (text != file->text) {
    if (Result<void> done = real_files().write_whole(file->path, text); !done)
      return std::move(done).error();
    hint_at_plain_files(*repository, arguments.positional, arguments.console);
  }
  if (const Result<bool> installed = is_installed(*repository); installed && !*installed)
    arguments.console.note(
        "git does not call git-ration here yet and would take such files as they are: "
        "`git ration install`");
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", kSchema},
                                      {"file", file->path.string()},
                                      {"changed", text != file->text},
                                      {"patterns", tracked_patterns(text)}});
  return 0;
}

Result<int> run_untrack(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<AttributesFile> file = read_here(*repository);
  if (!file) return std::move(file).error();
  std::string text = file->text;
  for (const std::string& pattern : arguments.positional) {
    std::string less = without_pattern(text, pattern);
    if (less == text)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("{} does not track \"{}\"", file->path.string(), pattern),
          .hint = "`git ration track` lists the patterns and the files that they stand in"};
    text = std::move(less);
  }
  if (Result<void> done = text.empty() ? real_files().remove_all(file->path)
                                       : real_files().write_whole(file->path, text);
      !done)
    return std::move(done).error();
  arguments.console.note(
      "versions in history stay manifests; `git add --renormalize .` adds the files themselves");
  return 0;
}

}  // namespace

cli::Command track_command() {
  return {.name = "track",
          .summary = "Keep files as checkpoints: those that match a pattern of .gitattributes",
          .arguments = "[PATTERN …]",
          .max_arguments = 1000,
          .description =
              "Writes a line for each pattern into .gitattributes of this folder, unless it is "
              "there; commit\nthat file. Without a pattern it lists those that are tracked.\n\n"
              "  git ration track '*.safetensors'",
          .execute = run_track};
}

cli::Command untrack_command() {
  return {.name = "untrack",
          .summary = "Stop keeping files of a pattern as checkpoints",
          .arguments = "PATTERN …",
          .min_arguments = 1,
          .max_arguments = 1000,
          .execute = run_untrack};
}

}  // namespace ration::git
