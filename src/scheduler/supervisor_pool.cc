#include "scheduler/supervisor_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace ration::scheduler {
namespace {

// A request is a message of these words, each ended by a zero byte: trainer, run folder, number,
// token, threads, GPUs. The answer is a process number, or a negative errno.
using Reply = std::int32_t;
constexpr std::size_t kWords = 6;
constexpr std::size_t kLongestRequest = 65536;  // bytes

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

// Each copy would look up again each function that it calls, if the first process did not at its
// start.
constexpr const char* kBindNow = "LD_BIND_NOW";
constexpr const char* kOurs = "ration";

std::vector<std::string> pool_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  if (getenv(kBindNow) == nullptr) variables.push_back(fmt::format("{}={}", kBindNow, kOurs));
  return variables;
}

void leave_environment_to_workers() {
  const char* value = getenv(kBindNow);
  if (value != nullptr && std::strcmp(value, kOurs) == 0) unsetenv(kBindNow);
}

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

// A copy of this process whose parent is this one's: the scheduler, which can wait for it so.
pid_t copy_for_parent() {
  return static_cast<pid_t>(
      syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, 0UL));
}

[[noreturn]] void be_supervisor(const SuperviseOptions& options, Files& files) {
  setsid();
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);  // and no longer the socket
  ::close(nothing);
  const Result<int> status = supervise(options, files);
  if (!status) fmt::print(stderr, "{}", status.error().describe());
  _exit(status ? *status : exit_code(status.error().kind));
}

}  // namespace

Result<int> serve_supervisors(int socket, Files& files) {
  leave_environment_to_workers();
  boot_id();  // copies know it then
  std::string request(kLongestRequest, '\0');
  for (;;) {
    const ssize_t got = recv(socket, request.data(), request.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Error{.kind = ErrorKind::usage,
                   .what = "supervise reads requests from a socket on standard input",
                   .hint = "`ration run` starts it"};
    if (got == 0) return 0;
    const auto options =
        read_request(std::string_view(request.data(), static_cast<std::size_t>(got)));
    Reply reply = -EINVAL;
    if (options) {
      const pid_t pid = copy_for_parent();
      if (pid == 0) be_supervisor(*options, files);
      reply = pid > 0 ? pid : -errno;
    }
    if (send(socket, &reply, sizeof reply, MSG_NOSIGNAL) < 0) return 0;
  }
}

SupervisorPool::~SupervisorPool() { close(); }

void SupervisorPool::close() {
  if (socket_ < 0) return;
  ::close(std::exchange(socket_, -1));
  waitpid(process_, nullptr, 0);  // it ends with the socket
}

Result<void> SupervisorPool::open() {
  std::array<int, 2> ends{-1, -1};
  const auto cannot = [&](int code) {
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("cannot start {}: {}", ration_.string(), std::strerror(code))};
  };
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return cannot(errno);
  std::string program = ration_.string();
  std::string verb = "supervise";
  std::array<char*, 3> argv{program.data(), verb.data(), nullptr};
  std::vector<std::string> variables = pool_environment();
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  const SpawnSettings settings(ends[1]);
  const int code = posix_spawn(&process_,
                               argv[0],
                               &settings.actions_,
                               &settings.attributes_,
                               argv.data(),
                               environment.data());
  ::close(ends[1]);
  socket_ = ends[0];
  if (code == 0) return {};
  ::close(std::exchange(socket_, -1));
  return cannot(code);
}

Result<std::int64_t> SupervisorPool::start(const SuperviseOptions& options) {
  const std::string request = request_of(options);
  if (request.size() > kLongestRequest)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("the path {} is too long", options.run_folder.string())};
  // One that was killed is started again. Not once it took the request: nobody knows what it did
  // with it.
  Reply reply = 0;
  for (int tries = 0;; ++tries) {
    if (socket_ < 0)
      if (Result<void> done = open(); !done) return std::move(done).error();
    ssize_t got = send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
    if (got >= 0)
      while ((got = recv(socket_, &reply, sizeof reply, 0)) < 0 && errno == EINTR) {
      }
    if (got == sizeof reply) break;
    // ECONNRESET: its end of the socket was closed with the request unread.
    const bool untouched = got < 0 && (errno == EPIPE || errno == ECONNRESET);
    close();
    if (!untouched || tries == 1)
      return Error{.kind = ErrorKind::resource,
                   .what = "cannot start a supervisor: `ration supervise` has gone"};
  }
  if (reply > 0) return reply;
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("cannot start a supervisor: {}", std::strerror(-reply))};
}

}  // namespace ration::scheduler
