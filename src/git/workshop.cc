#include "git/workshop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "base/process.h"

namespace ration::git {
namespace {

// A server may be slow, and objects are large.
constexpr double kDay = 86400;

// All that git says of it: the last line alone is often advice.
std::string reason(const Answer& answer) {
  constexpr std::size_t kLongest = 1000;
  std::string text = answer.err.empty() ? answer.words() : answer.err.substr(0, kLongest);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<Answer> checked(const std::vector<std::string>& words,
                       const CallOptions& options,
                       const std::vector<std::string>& shown,
                       bool remote = true) {
  Result<Answer> answer = call(words, kDay, options);
  if (!answer || answer->ok()) return answer;
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("`git {}` failed: {}", fmt::join(shown, " "), reason(*answer)),
               .hint = remote ? "see whether git itself can reach the remote, then repeat the "
                                "command: what was sent stays"
                              : "see whether the disk is full, and what `git fsck` says"};
}

}  // namespace

Result<Workshop> Workshop::open(const Repository& repository, Objects objects) {
  static std::atomic<int> counter{0};
  const Path folder =
      repository.store_folder() / "tmp" / fmt::format("workshop-{}-{}", getpid(), counter++);
  if (Result<void> done = real_files().make_folders(folder); !done) return std::move(done).error();
  Workshop workshop(folder, repository.work_tree().value_or(repository.git_dir()));
  Result<std::string> format = repository.ask({"rev-parse", "--show-object-format"});
  if (!format) return std::move(format).error();
  Result<std::string> made =
      workshop.ask({"init", "--quiet", "--bare", "--object-format=" + *format, folder.string()});
  if (!made) return std::move(made).error();
  if (objects == Objects::of_repository) workshop.objects_ = repository.common_dir() / "objects";
  return workshop;
}

void Workshop::remove_leftovers(const Repository& repository) {
  const Path folder = repository.store_folder() / "tmp";
  const auto yesterday = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
  for (const std::string& name : real_files().list(folder).value_or(std::vector<std::string>())) {
    // "workshop-<pid>-…", "fetch-<pid>-…"
    const std::size_t dash = name.find('-');
    if (dash == std::string::npos) continue;
    std::int64_t pid = 0;
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), pid);
    std::error_code gone;
    const auto written = std::filesystem::last_write_time(folder / name, gone);
    if (!gone && written < yesterday && !identify(pid))
      std::filesystem::remove_all(folder / name, gone);
  }
}

Workshop::Workshop(Workshop&& other) noexcept
    : folder_(std::move(other.folder_)),
      top_(std::move(other.top_)),
      objects_(std::move(other.objects_)) {
  other.folder_.clear();
}

Workshop::~Workshop() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

// The environment that git gives to hooks would lead elsewhere. Objects are packed already, and
// looking for likenesses between them would take minutes.
std::vector<std::string> Workshop::command(const std::vector<std::string>& words) const {
  std::vector<std::string> all = {"env"};
  for (const char* name : {"GIT_DIR",
                           "GIT_WORK_TREE",
                           "GIT_INDEX_FILE",
                           "GIT_OBJECT_DIRECTORY",
                           "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                           "GIT_QUARANTINE_PATH",
                           "GIT_SHALLOW_FILE",
                           "GIT_NAMESPACE",
                           "GIT_PREFIX",
                           "GIT_COMMON_DIR"}) {
    all.emplace_back("-u");
    all.emplace_back(name);
  }
  for (const char* who : {"AUTHOR", "COMMITTER"}) {
    all.push_back(fmt::format("GIT_{}_NAME=ration", who));
    all.push_back(fmt::format("GIT_{}_EMAIL=ration@localhost", who));
    all.push_back(fmt::format("GIT_{}_DATE=@1 +0000", who));
  }
  if (!objects_.empty()) all.push_back("GIT_OBJECT_DIRECTORY=" + objects_.string());
  for (const char* word : {"git", "-c", "gc.auto=0", "-c", "fetch.fsckObjects=false"})
    all.emplace_back(word);
  if (objects_.empty())
    for (const char* setting : {"core.compression=0",
                                "core.looseCompression=0",
                                "pack.compression=0",
                                "core.bigFileThreshold=1k"}) {
      all.emplace_back("-c");
      all.emplace_back(setting);
    }
  all.push_back("--git-dir=" + folder_.string());
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

Result<std::string> Workshop::ask(const std::vector<std::string>& words,
                                  std::string_view input) const {
  Result<Answer> answer =
      checked(command(words), {.folder = top_, .input = input}, words, objects_.empty());
  if (!answer) return std::move(answer).error();
  std::string text = std::move(answer->out);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<std::string> Workshop::ask_of_file(const std::vector<std::string>& words,
                                          const Path& input) const {
  Result<Answer> answer =
      checked(command(words), {.folder = top_, .input_file = input}, words, objects_.empty());
  if (!answer) return std::move(answer).error();
  return std::move(answer->out);
}

Result<void> Workshop::save(const std::string& name, const Path& file) const {
  const std::vector<std::string> words = {"cat-file", "blob", name};
  Result<Answer> answer = checked(command(words), {.folder = top_, .output = file}, words);
  if (!answer) return std::move(answer).error();
  return {};
}

Result<std::string> Workshop::commit(
    std::span<const std::pair<std::string, std::string>> files) const {
  std::string lines;
  for (const auto& [name, blob] : files) lines += fmt::format("100644 blob {}\t{}\n", blob, name);
  Result<std::string> tree = ask({"mktree"}, lines);
  if (!tree) return tree;
  return ask({"commit-tree", *tree, "-m", "Objects of ration"});
}

}  // namespace ration::git
