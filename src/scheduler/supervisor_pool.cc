#include "scheduler/supervisor_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/clock.h"

namespace ration::scheduler {
namespace {

// A request is a message of these words, each ended by a zero byte: trainer, run folder, number,
// token, threads, GPUs. The answer is the worker's exit status.
using Reply = std::int32_t;
constexpr std::size_t kWords = 6;
constexpr std::size_t kLongestRequest = 65536;  // bytes
constexpr double kReapSeconds = 1;              // for supervisors to end that may

class SpawnSettings {
 public:
  explicit SpawnSettings(int standard_input) {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t usual;
    sigemptyset(&usual);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) sigaddset(&usual, number);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &usual);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_adddup2(&actions_, standard_input, STDIN_FILENO);
    for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&actions_, descriptor, "/dev/null", O_RDWR, 0);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

std::string request_of(const SuperviseOptions& options) {
  std::string text;
  for (const std::string& word : {options.trainer.string(),
                                  options.run_folder.string(),
                                  std::to_string(options.number),
                                  options.token,
                                  std::to_string(options.threads),
                                  options.gpus})
    text += word + '\0';
  return text;
}

std::optional<SuperviseOptions> read_request(std::string_view text) {
  std::array<std::string_view, kWords> words;
  for (std::string_view& word : words) {
    const std::size_t end = text.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    word = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  SuperviseOptions options{.trainer = words[0], .run_folder = words[1]};
  options.token = words[3];
  options.gpus = words[5];
  std::from_chars(words[2].data(), words[2].data() + words[2].size(), options.number);
  std::from_chars(words[4].data(), words[4].data() + words[4].size(), options.threads);
  return options;
}

// Every signal is taken as usual: an idle supervisor may be ended like any process.
void hold_no_signals_back() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

Reply carry_out(const std::optional<SuperviseOptions>& options, Files& files) {
  if (!options) return exit_code(ErrorKind::usage);
  const Result<int> status = supervise(*options, files);
  if (status) return *status;
  fmt::print(stderr, "{}", status.error().describe());
  return exit_code(status.error().kind);
}

}  // namespace

Result<int> serve_supervisors(int socket, Files& files) {
  const int requests = fcntl(socket, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  std::string request(kLongestRequest, '\0');
  for (;;) {
    hold_no_signals_back();
    const ssize_t got = recv(requests, request.data(), request.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Error{.kind = ErrorKind::usage,
                   .what = "supervise reads requests from a socket on standard input",
                   .hint = "`ration run` starts it"};
    if (got == 0) return 0;
    dup2(nothing, STDIN_FILENO);  // of workers
    const Reply status =
        carry_out(read_request({request.data(), static_cast<std::size_t>(got)}), files);
    // The attempt's log is no longer ours.
    std::fflush(stderr);
    for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, descriptor);
    if (send(requests, &status, sizeof status, MSG_NOSIGNAL) < 0) return 0;
  }
}

SupervisorPool::~SupervisorPool() {
  for (const auto& [descriptor, supervisor] : supervisors_) ::close(descriptor);
  const double deadline = system_clock().monotonic_seconds() + kReapSeconds;
  for (const int descriptor : idle_) reap(supervisors_[descriptor].process, deadline);
}

// Takes the last words of one that ends about now. One that is stopped ends when it goes on; its
// remains are left to the system then.
void SupervisorPool::reap(const ProcessId& process, double deadline) {
  while (waitpid(static_cast<pid_t>(process.pid), nullptr, WNOHANG) == 0 &&
         system_clock().monotonic_seconds() < deadline)
    system_clock().sleep(0.001);
}

// For those that end with the socket, or have ended.
void SupervisorPool::close(int descriptor) {
  const auto found = supervisors_.find(descriptor);
  if (found == supervisors_.end()) return;
  std::erase(idle_, descriptor);
  ::close(descriptor);
  reap(found->second.process, system_clock().monotonic_seconds() + kReapSeconds);
  supervisors_.erase(found);
}

// The folder only tells people whose it is.
Result<int> SupervisorPool::open(const Path& folder) {
  std::array<int, 2> ends{-1, -1};
  const auto cannot = [&](int code) {
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("cannot start {}: {}", ration_.string(), std::strerror(code))};
  };
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return cannot(errno);
  std::array<std::string, 3> words{ration_.string(), "supervise", folder.string()};
  std::array<char*, 4> argv{words[0].data(), words[1].data(), words[2].data(), nullptr};
  const SpawnSettings settings(ends[1]);
  pid_t pid = 0;
  const int code =
      posix_spawn(&pid, argv[0], &settings.actions_, &settings.attributes_, argv.data(), environ);
  ::close(ends[1]);
  if (code != 0) {
    ::close(ends[0]);
    return cannot(code);
  }
  // Not waited for before this process says so, so the number is still its own.
  supervisors_[ends[0]].process = identify(pid).value_or(ProcessId{.boot = boot_id(), .pid = pid});
  return ends[0];
}

Result<SupervisorPool::Started> SupervisorPool::start(const SuperviseOptions& options) {
  const std::string request = request_of(options);
  if (request.size() > kLongestRequest)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("the path {} is too long", options.run_folder.string())};
  for (;;) {
    const bool is_new = idle_.empty();
    const Result<int> descriptor =
        is_new ? open(options.run_folder.parent_path()) : Result<int>(idle_.back());
    if (!descriptor) return descriptor.error();
    if (!is_new) idle_.pop_back();
    if (send(*descriptor, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return Started{.process = supervisors_[*descriptor].process, .descriptor = *descriptor};
    // It was ended while it was idle: another one will do.
    const int code = errno;
    close(*descriptor);
    if (is_new)
      return Error{.kind = ErrorKind::resource,
                   .what = fmt::format("cannot start a supervisor: {}", std::strerror(code))};
  }
}

std::optional<int> SupervisorPool::ended(int descriptor) {
  Reply status = 0;
  ssize_t got = 0;
  while ((got = recv(descriptor, &status, sizeof status, MSG_DONTWAIT)) < 0 && errno == EINTR) {
  }
  const bool told = got == sizeof status;
  if (told && !supervisors_[descriptor].spent)
    idle_.push_back(descriptor);
  else
    close(descriptor);
  return told ? std::optional<int>(status) : std::nullopt;
}

void SupervisorPool::use_no_more(int descriptor) {
  if (const auto found = supervisors_.find(descriptor); found != supervisors_.end())
    found->second.spent = true;
}

}  // namespace ration::scheduler
