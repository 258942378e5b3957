#include "git/cat_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace ration::git {
namespace {

Error broken(int error_number) {
  return {.kind = ErrorKind::resource,
          .what = fmt::format("`git cat-file --batch` does not answer{}{}",
                              error_number == 0 ? "" : ": ",
                              error_number == 0 ? "" : std::strerror(error_number)),
          .hint = "`git fsck` tells whether the repository is whole"};
}

// Bytes of a blob by git's answer "<id> blob <bytes>"; of other objects too, with `blob` false.
struct Found {
  bool blob = false;
  std::uint64_t bytes = 0;
};

std::optional<Found> read_answer(std::string_view line) {
  const std::size_t type = line.find(' ');
  const std::size_t size = line.rfind(' ');
  if (type == std::string_view::npos || size == type) return std::nullopt;
  Found found{.blob = line.substr(type + 1, size - type - 1) == "blob"};
  line.remove_prefix(size + 1);
  const auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), found.bytes);
  if (code != std::errc() || end != line.data() + line.size()) return std::nullopt;
  return found;
}

}  // namespace

Result<std::unique_ptr<CatFile>> CatFile::start(const Path& folder) {
  std::array<int, 2> questions{-1, -1};
  std::array<int, 2> answers{-1, -1};
  if (pipe2(questions.data(), O_CLOEXEC) != 0) return broken(errno);
  std::unique_ptr<CatFile> git(new CatFile);
  git->to_git_ = questions[1];
  if (pipe2(answers.data(), O_CLOEXEC) != 0) {
    close(questions[0]);
    return broken(errno);
  }
  git->from_git_ = answers[0];

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, questions[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::array<std::string, 3> words = {"git", "cat-file", "--batch"};
  std::array<char*, 4> argv = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const int code = posix_spawnp(&git->pid_, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(questions[0]);
  close(answers[1]);
  if (code == 0) return git;
  git->pid_ = 0;
  return broken(code);
}

CatFile::~CatFile() {
  if (to_git_ >= 0) close(to_git_);
  if (from_git_ >= 0) close(from_git_);
  int status = 0;
  while (pid_ > 0 && waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
}

Result<void> CatFile::send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(to_git_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return broken(errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> CatFile::fill() {
  const std::size_t have = buffer_.size();
  buffer_.resize(have + (std::size_t{1} << 16));
  ssize_t got = 0;
  do {
    got = read(from_git_, buffer_.data() + have, buffer_.size() - have);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got <= 0) return broken(got < 0 ? errno : 0);
  return {};
}

Result<std::string> CatFile::line() {
  std::size_t end = buffer_.find('\n');
  while (end == std::string::npos) {
    if (Result<void> done = fill(); !done) return std::move(done).error();
    end = buffer_.find('\n');
  }
  std::string text = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return text;
}

Result<void> CatFile::take(std::uint64_t bytes, std::string* to) {
  while (bytes > 0) {
    if (buffer_.empty())
      if (Result<void> done = fill(); !done) return done;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffer_.size()));
    if (to != nullptr) to->append(buffer_, 0, count);
    buffer_.erase(0, count);
    bytes -= count;
  }
  return {};
}

Result<std::optional<std::string>> CatFile::blob(std::string_view name,
                                                 std::uint64_t limit,
                                                 std::string_view begin) {
  // A question is a line.
  if (name.empty() || name.find_first_of(std::string_view("\n\0", 2)) != std::string_view::npos)
    return std::optional<std::string>();
  if (Result<void> done = send(std::string(name) + "\n"); !done) return std::move(done).error();
  Result<std::string> answer = line();
  if (!answer) return std::move(answer).error();
  const std::optional<Found> found = read_answer(*answer);
  if (!found) return std::optional<std::string>();
  std::string content;
  const std::uint64_t first = std::min<std::uint64_t>(begin.size(), found->bytes);
  if (Result<void> done = take(first, &content); !done) return std::move(done).error();
  const bool wanted = found->blob && found->bytes <= limit && content == begin;
  if (Result<void> done = take(found->bytes - first, wanted ? &content : nullptr); !done)
    return std::move(done).error();
  // Behind the content stands a newline.
  if (Result<void> done = take(1, nullptr); !done) return std::move(done).error();
  return wanted ? std::optional(std::move(content)) : std::nullopt;
}

}  // namespace ration::git
