#pragma once

// Copies of this program that work for the process that started them. Nothing that is asked of the
// parent is lost on the way: SIGTERM and SIGUSR1 are held back in a child from its first moment
// until listen_to_stop_signals() says that they can be answered.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ration::train {

// The program that runs here.
inline constexpr const char* kThisProgram = "/proc/self/exe";

inline constexpr int kSignalBase = 128;  // exit codes of what a signal killed, as in a shell

struct ChildCommand {
  std::string program = kThisProgram;
  std::vector<std::string> words;                                   // the first is its name
  std::vector<std::pair<std::string, std::string>> variables = {};  // of its environment
  int in = -1, out = -1;  // what becomes its standard input and output; -1: those of the parent
};

// A child that dies with its parent, and leads a process group of its own: signals to the parent's
// group reach the parent, which passes them on once. Its number, or -1 and errno.
pid_t start_child(const ChildCommand& command);

// Children that are waited for. Signals to stop that reach this process go on to all of them, as
// well as those that `stop_requested` (may be empty) tells of; not to be used beside threads that
// wait for children of their own.
class Children {
 public:
  explicit Children(std::function<bool()> stop_requested = {});
  ~Children();  // kills what is left
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // False and errno when it cannot be started; it counts as none then.
  bool start(const ChildCommand& command);

  // Waits a moment for something to happen, passes signals on, and looks who has ended.
  void look();
  bool any_left() const;
  void kill_all();

  // By the order of their start: exit code, or 128 + signal, of those that ended.
  const std::vector<std::optional<int>>& codes() const { return codes_; }
  std::vector<bool> running() const;

 private:
  void reap();
  void send(int number);

  std::function<bool()> stop_requested_;
  bool passed_on_ = false;  // what stop_requested_ told
  std::vector<pid_t> pids_;
  std::vector<std::optional<int>> codes_;
};

// Answers SIGTERM and SIGUSR1 by `handler` from now on, those that were held back first. What was
// inherited is put right: children can be waited for.
void listen_to_stop_signals(void (*handler)(int));

// True in a child of start_child(): signals may come twice there, from the parent and from whoever
// signals all processes of a job.
bool is_child();

}  // namespace ration::train
