#include "cli/trainer_call.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/clock.h"
#include "scheduler/stop_signals.h"

namespace ration::cli {
namespace {

constexpr int kLook = 10;        // milliseconds between two looks whether it has ended
constexpr double kPatience = 5;  // seconds that it gets to end by itself
constexpr std::string_view kError = "error: ", kHelp = "\nhelp: ";

// The trainer's standard error as lines.
class Ear {
 public:
  explicit Ear(const HearTrainer& hear) : hear_(hear) {
    if (hear_ && pipe2(ends_.data(), O_CLOEXEC) != 0) error_ = errno;
  }
  ~Ear() {
    for (const int end : ends_)
      if (end >= 0) close(end);
  }
  Ear(const Ear&) = delete;
  Ear& operator=(const Ear&) = delete;

  int error() const { return error_; }  // errno; 0 = none
  int source() const { return ends_[0]; }
  int sink() const { return ends_[1]; }
  void close_sink() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }
  // Takes what is there; false at the end.
  bool read_some() {
    std::array<char, 4096> part{};
    const ssize_t got = read(ends_[0], part.data(), part.size());
    if (got <= 0) return got < 0 && errno == EINTR;
    text_.append(part.data(), static_cast<std::size_t>(got));
    for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      take(text_.substr(0, end));
      text_.erase(0, end + 1);
    }
    return true;
  }
  // From the first line that begins an error.
  const std::string& told() const { return told_; }

 private:
  void take(const std::string& line) {
    if (told_.empty() && !line.starts_with(kError))
      hear_(line);
    else
      told_ += told_.empty() ? line.substr(kError.size()) : "\n" + line;
  }

  const HearTrainer& hear_;
  std::array<int, 2> ends_ = {-1, -1};
  int error_ = 0;
  std::string text_, told_;
};

// Signals that this program holds back are none of the trainer's business.
Result<pid_t> start(const Path& trainer, const std::vector<std::string>& words, int error_output) {
  std::vector<std::string> all = {trainer.string()};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (error_output >= 0) posix_spawn_file_actions_adddup2(&actions, error_output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int code =
      posix_spawn(&child, trainer.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) return system_error("start", trainer, code);
  return child;
}

struct Ended {
  int status = 0;  // as waitpid() gives it
  bool interrupted = false;
};

// Hears it until it ends; a signal to this program ends it, too.
Result<Ended> wait_for(pid_t child, const Path& trainer, Ear& ear) {
  scheduler::StopSignals signals;
  Ended ended;
  double deadline = 0;
  bool open = ear.source() >= 0;
  while (true) {
    std::array<pollfd, 2> watched{
        pollfd{.fd = signals.descriptor(), .events = POLLIN, .revents = 0},
        pollfd{.fd = open ? ear.source() : -1, .events = POLLIN, .revents = 0}};
    poll(watched.data(), watched.size(), kLook);
    if (watched[1].revents != 0) open = ear.read_some();
    if (signals.take() > 0 && !ended.interrupted) {
      ended.interrupted = true;
      deadline = system_clock().monotonic_seconds() + kPatience;
      kill(child, SIGTERM);
    }
    if (ended.interrupted && system_clock().monotonic_seconds() > deadline) kill(child, SIGKILL);
    const pid_t got = waitpid(child, &ended.status, WNOHANG);
    if (got < 0 && errno != EINTR) return system_error("wait for", trainer, errno);
    if (got != child) continue;
    // What it said last. One that it started may hold the pipe open, and is not waited for.
    for (pollfd rest{.fd = ear.source(), .events = POLLIN, .revents = 0};
         open && poll(&rest, 1, 0) > 0;)
      open = ear.read_some();
    return ended;
  }
}

}  // namespace

Error trainer_interrupted() {
  return {.kind = ErrorKind::interrupted,
          .what = "stopped before the trainer had answered",
          .hint = "the same command starts again; nothing was written"};
}

Result<void> call_trainer(const Path& trainer,
                          const std::vector<std::string>& words,
                          const HearTrainer& hear) {
  const scheduler::StopSignals held;  // one that comes before it is waited for is not lost
  Ear ear(hear);
  if (ear.error() != 0) return system_error("make a pipe to", trainer, ear.error());
  const Result<pid_t> child = start(trainer, words, ear.sink());
  if (!child) return child.error();
  ear.close_sink();
  const Result<Ended> ended = wait_for(*child, trainer, ear);
  if (!ended) return ended.error();
  if (ended->interrupted) return trainer_interrupted();
  const int status = ended->status;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  // Its codes (docs/architecture.md): 2 a run, 3 data, 5 memory.
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const ErrorKind kind = code == 2 || code == 3 ? ErrorKind::input : ErrorKind::resource;
  if (!ear.told().empty()) {
    const std::size_t help = std::min(ear.told().find(kHelp), ear.told().size());
    const std::size_t behind = std::min(help + kHelp.size(), ear.told().size());
    return Error{
        .kind = kind, .what = ear.told().substr(0, help), .hint = ear.told().substr(behind)};
  }
  return Error{
      .kind = kind,
      .what = fmt::format("{} ended with {}: {}", trainer.string(), code, fmt::join(words, " ")),
      .hint =
          hear ? "it did not say why; run it by hand to see more" : "it said above what was wrong"};
}

}  // namespace ration::cli
