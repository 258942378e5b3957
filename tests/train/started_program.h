#pragma once

// The program ration-train as a person starts it. Needs RATION_TRAIN, its path, when compiled.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "run/events.h"
#include "run/folder.h"

namespace ration::test {

inline void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

struct StartOptions {
  Path errors;                                                      // stderr is added to it
  std::vector<std::pair<std::string, std::string>> variables = {};  // of its environment
  rlim_t file_bytes = RLIM_INFINITY;                                // most that a file may hold
};

// A started program; ended with the object if it still runs.
class StartedProgram {
 public:
  StartedProgram(const std::vector<Path>& run_folders, const StartOptions& options) : pid_(fork()) {
    if (pid_ != 0) return;
    const rlimit limit{options.file_bytes, options.file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    dup2(open(options.errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    for (const auto& [name, value] : options.variables) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> words = {const_cast<char*>("ration-train")};
    for (const Path& folder : run_folders) words.push_back(const_cast<char*>(folder.c_str()));
    words.push_back(nullptr);
    execv(RATION_TRAIN, words.data());
    _exit(127);
  }
  ~StartedProgram() {
    if (pid_ > 0) kill(pid_, SIGKILL), wait();
  }
  StartedProgram(StartedProgram&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

  void signal(int number) const { kill(pid_, number); }

  // Exit code, or 128 + signal.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // Its children, in the order of their start.
  std::vector<pid_t> children() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) +
                       "/children");
    std::vector<pid_t> found;
    for (pid_t child = 0; file >> child;) found.push_back(child);
    return found;
  }

 private:
  pid_t pid_;
};

// Waits until an attempt has logged a step of its own; false when that takes over a minute.
inline bool trains(const run::RunFolder& folder, int attempt) {
  for (int i = 0; i < 6000; ++i) {
    const Result<run::EventBatch> batch =
        run::read_events(real_files(), folder.events_path(attempt), 0, 0);
    if (batch)
      for (const run::Event& event : batch->events)
        if (event.type == run::EventType::train) return true;
    sleep_seconds(0.01);
  }
  return false;
}

}  // namespace ration::test
