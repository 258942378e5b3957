#include "git/repository.h"

#include <fmt/format.h>

#include "base/unsynced_files.h"

namespace ration::git {
namespace {

Path absolute(const Path& folder, const std::string& path) {
  std::error_code code;
  const Path whole = std::filesystem::weakly_canonical(folder / path, code);
  return code ? folder / path : whole;
}

}  // namespace

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    lines.emplace_back(line);
  }
  return lines;
}

std::vector<std::string> fields_of(std::string_view text) {
  std::vector<std::string> fields;
  while (!text.empty()) {
    const std::string_view field = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(text.size(), field.size() + 1));
    fields.emplace_back(field);
  }
  return fields;
}

Result<Repository> Repository::discover(const Path& folder) {
  // The last question fails where there is no work tree; the others are answered before it.
  Result<Answer> answer = call({"git",
                                "rev-parse",
                                "--absolute-git-dir",
                                "--git-common-dir",
                                "--show-prefix",
                                "--show-toplevel"},
                               kPatience,
                               {.folder = folder});
  if (!answer) return std::move(answer).error();
  const std::vector<std::string> lines = lines_of(answer->out);
  if (lines.size() < 2)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("no git repository: {}", answer->words()),
                 .hint = "run this inside of one, or `git init` first"};
  Repository repository;
  repository.git_dir_ = lines[0];
  repository.common_dir_ = absolute(folder, lines[1]);
  if (lines.size() > 2) repository.prefix_ = lines[2];
  if (answer->ok() && lines.size() > 3) repository.work_tree_ = Path(lines[3]);
  repository.folder_ = repository.work_tree_.value_or(repository.git_dir_);

  Result<Answer> config = repository.git({"config", "-z", "--get-regexp", "^ration\\."});
  if (!config) return std::move(config).error();
  Result<Settings> settings = settings_of(read_config(config->out));
  if (!settings) return std::move(settings).error();
  repository.settings_ = std::move(*settings);
  return repository;
}

Result<Path> Repository::work_tree() const {
  if (work_tree_) return *work_tree_;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{} has no work tree here", git_dir_.string()),
               .hint = "run this in a clone that is not bare, outside of its .git folder"};
}

versions::ObjectStore Repository::store() const {
  return {settings_.sync ? real_files() : unsynced_files(), store_folder()};
}

Result<Answer> Repository::git(std::vector<std::string> words,
                               std::string_view input,
                               double seconds) const {
  words.insert(words.begin(), "git");
  return call(words, seconds, {.folder = folder_, .input = input});
}

Result<std::string> Repository::ask(std::vector<std::string> words, std::string_view input) const {
  const std::string typed = fmt::format("git {}", fmt::join(words, " "));
  Result<Answer> answer = git(std::move(words), input);
  if (!answer) return std::move(answer).error();
  if (!answer->ok())
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("`{}` failed: {}", typed, answer->words())};
  std::string text = std::move(answer->out);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<std::optional<std::string>> Repository::blob(std::string_view name,
                                                    std::uint64_t limit,
                                                    std::string_view begin) {
  if (!cat_file_) {
    Result<std::unique_ptr<CatFile>> started = CatFile::start(folder_);
    if (!started) return std::move(started).error();
    cat_file_ = std::move(*started);
  }
  return cat_file_->blob(name, limit, begin);
}

Result<std::vector<std::string>> Repository::attribute(
    const std::string& name, const std::vector<std::string>& paths) const {
  std::string input;
  for (const std::string& path : paths) input += path + '\0';
  if (paths.empty()) return std::vector<std::string>();
  Result<Answer> answer = git({"check-attr", "-z", "--stdin", name}, input);
  if (!answer) return std::move(answer).error();
  // Path, attribute, value for each.
  const std::vector<std::string> fields = fields_of(answer->out);
  if (!answer->ok() || fields.size() != 3 * paths.size())
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("`git check-attr {}` failed: {}", name, answer->words())};
  std::vector<std::string> values;
  for (std::size_t i = 0; i < paths.size(); ++i) values.push_back(fields[3 * i + 2]);
  return values;
}

Result<std::string> path_from_top(const Repository& repository, const std::string& typed) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  const Path path(typed);
  const Path whole = path.is_absolute() ? absolute("/", typed).lexically_relative(*top)
                                        : (Path(repository.prefix()) / path).lexically_normal();
  const std::string text = whole.generic_string();
  if (!text.empty() && text != "." && *whole.begin() != "..") return text;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{} is no file of the work tree {}", typed, top->string()),
               .hint = "name a file inside of it"};
}

}  // namespace ration::git
