#include "base/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/clock.h"

namespace ration {
namespace {

// More than any queue has to say, in bytes.
constexpr std::size_t kLongestAnswer = 256U << 20;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      error = errno;
      return;
    }
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    close_write();
    if (read >= 0) close(read);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_write() {
    if (write >= 0) close(write);
    write = -1;
  }
  int read = -1;
  int write = -1;
  int error = 0;  // errno, where there is none
};

// Takes what is there; false at the end.
bool drain(int descriptor, std::string& text) {
  std::array<char, 65536> part{};
  const ssize_t got = read(descriptor, part.data(), part.size());
  if (got > 0) text.append(part.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

// A file in memory with the text, read from its beginning: unlike a pipe it never makes anyone
// wait. -1 where it cannot be made.
int open_input(std::string_view text) {
  if (text.empty()) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int file = memfd_create("input", MFD_CLOEXEC);
  while (file >= 0 && !text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      close(file);
      return -1;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (file >= 0) lseek(file, 0, SEEK_SET);
  return file;
}

Result<pid_t> spawn(const std::vector<std::string>& words,
                    const CallOptions& options,
                    const Pipe& out,
                    const Pipe& err) {
  const int input = options.input_file.empty()
                        ? open_input(options.input)
                        : open(options.input_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (input < 0)
    return Error{
        .kind = ErrorKind::resource,
        .what = fmt::format("cannot keep what {} is to read: {}", words[0], std::strerror(errno)),
        .hint = "free some memory, or raise `ulimit -n`"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (options.output.empty())
    posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  else
    posix_spawn_file_actions_addopen(
        &actions, STDOUT_FILENO, options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, err.write, STDERR_FILENO);
  if (!options.folder.empty())
    posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t usual;  // what this program ignores is none of the other's business
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> copies = words;
  std::vector<char*> argv;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int code = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(input);
  if (code == 0) return pid;
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("cannot start {}: {}", words.front(), std::strerror(code)),
               .hint = "it must be on PATH, and its folder must exist"};
}

// Reads both pipes to their ends; false when the deadline came first, or more than anyone needs.
bool read_until(double deadline, const Pipe& out, const Pipe& err, Answer& answer) {
  std::array<pollfd, 2> watched{pollfd{.fd = out.read, .events = POLLIN},
                                pollfd{.fd = err.read, .events = POLLIN}};
  while (watched[0].fd >= 0 || watched[1].fd >= 0) {
    const double left = deadline - system_clock().monotonic_seconds();
    if (left <= 0) return false;
    const int milliseconds = static_cast<int>(std::ceil(std::min(left, 60.0) * 1000));
    if (poll(watched.data(), watched.size(), milliseconds) <= 0) continue;
    if (answer.out.size() + answer.err.size() > kLongestAnswer) return false;
    if (watched[0].revents != 0 && !drain(out.read, answer.out)) watched[0].fd = -1;
    if (watched[1].revents != 0 && !drain(err.read, answer.err)) watched[1].fd = -1;
  }
  return true;
}

}  // namespace

std::string Answer::words() const {
  if (timed_out) return "no answer in time";
  std::string_view text = err.empty() ? out : err;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const std::size_t begin = text.rfind('\n');
  if (begin != std::string_view::npos) text.remove_prefix(begin + 1);
  if (text.empty()) return fmt::format("exit status {} without a word", status);
  return std::string(text.substr(0, 500));
}

Result<Answer> call(const std::vector<std::string>& words,
                    double seconds,
                    const CallOptions& options) {
  Pipe out;
  Pipe err;
  if (const int code = std::max(out.error, err.error); code != 0)
    return Error{
        .kind = ErrorKind::resource,
        .what = fmt::format("cannot make a pipe to {}: {}", words.front(), std::strerror(code)),
        .hint = "end other programs of yours, or raise `ulimit -n`"};
  Result<pid_t> pid = spawn(words, options, out, err);
  if (!pid) return std::move(pid).error();
  out.close_write();
  err.close_write();
  Answer answer;
  const double deadline = system_clock().monotonic_seconds() + seconds;
  answer.timed_out = !read_until(deadline, out, err, answer);
  // It may have closed its outputs and stay.
  int status = 0;
  while (!answer.timed_out && waitpid(*pid, &status, WNOHANG) == 0) {
    answer.timed_out = system_clock().monotonic_seconds() > deadline;
    system_clock().sleep(0.001);
  }
  if (answer.timed_out) {
    kill(-*pid, SIGKILL);
    waitpid(*pid, &status, 0);
  }
  if (answer.out.size() + answer.err.size() > kLongestAnswer)
    return Error{
        .kind = ErrorKind::resource,
        .what = fmt::format(
            "{} does not stop talking: more than {} MiB", words.front(), kLongestAnswer >> 20),
        .hint = "run it by hand to see what it says"};
  answer.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return answer;
}

}  // namespace ration
