#include "train/processes/child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "run/exit_codes.h"

namespace ration::train {
namespace {

constexpr const char* kMark = "RATION_CHILD_OF";  // the parent's number
constexpr long kLookEvery = 50'000'000;           // ns

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, number);
  return set;
}

[[noreturn]] void become(const ChildCommand& command, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(static_cast<int>(run::WorkerExit::other));  // it died meanwhile
  setpgid(0, 0);
  if (command.in >= 0) dup2(command.in, STDIN_FILENO);
  if (command.out >= 0) dup2(command.out, STDOUT_FILENO);
  setenv(kMark, std::to_string(parent).c_str(), 1);
  for (const auto& [name, value] : command.variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execv(command.program.c_str(), words.data());
  _exit(static_cast<int>(run::WorkerExit::other));
}

}  // namespace

pid_t start_child(const ChildCommand& command) {
  const sigset_t set = awaited();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &set, &before);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(command, parent);  // with the signals held back
  const int reason = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = reason;
  return pid;
}

Children::Children(std::function<bool()> stop_requested)
    : stop_requested_(std::move(stop_requested)) {
  const sigset_t set = awaited();
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

Children::~Children() {
  kill_all();
  for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
  const sigset_t set = awaited();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

bool Children::start(const ChildCommand& command) {
  const pid_t pid = start_child(command);
  if (pid < 0) return false;
  pids_.push_back(pid);
  codes_.emplace_back();
  return true;
}

void Children::look() {
  const sigset_t set = awaited();
  const timespec pause{.tv_sec = 0, .tv_nsec = kLookEvery};
  const int number = sigtimedwait(&set, nullptr, &pause);
  if (number == SIGTERM || number == SIGUSR1) send(number);
  if (!passed_on_ && stop_requested_ && stop_requested_()) {
    passed_on_ = true;
    send(SIGTERM);
  }
  reap();
}

void Children::reap() {
  for (std::size_t i = 0; i < pids_.size(); ++i) {
    if (codes_[i]) continue;
    int status = 0;
    const pid_t ended = waitpid(pids_[i], &status, WNOHANG);
    if (ended == pids_[i])
      codes_[i] = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
    else if (ended < 0 && errno == ECHILD)  // somebody else has its last words
      codes_[i] = static_cast<int>(run::WorkerExit::other);
  }
}

void Children::send(int number) {
  for (std::size_t i = 0; i < pids_.size(); ++i)
    if (!codes_[i]) kill(pids_[i], number);
}

void Children::kill_all() { send(SIGKILL); }

std::vector<bool> Children::running() const {
  std::vector<bool> left;
  for (const std::optional<int>& code : codes_) left.push_back(!code);
  return left;
}

bool Children::any_left() const {
  return std::any_of(codes_.begin(), codes_.end(), [](const auto& code) { return !code; });
}

void listen_to_stop_signals(void (*handler)(int)) {
  std::signal(SIGCHLD, SIG_DFL);  // where it is ignored, nobody can be waited for
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  const sigset_t set = awaited();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

bool is_child() {
  const char* parent = std::getenv(kMark);
  return parent != nullptr && std::atoll(parent) == getppid();
}

}  // namespace ration::train
