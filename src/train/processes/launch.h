#pragma once

// `processes` > 1 on one machine: the program starts itself so many times, as the ranks of one run,
// and waits. What one of them cannot survive ends all, so that nobody waits for a dead one.

#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "run/exit_codes.h"

namespace ration::train {

struct LaunchOptions {
  std::vector<std::string> command;  // program and arguments of each process
  int processes = 2;
  Path meeting;  // the file by which they find each other; removed before and after
  std::function<bool()> stop_requested = {};  // before launch() was called, or meanwhile
};

// How the run ended, as the exit status that the caller should have: a code of run/exit_codes.h, or
// 128 + the signal that killed a process.
struct Launched {
  int exit = 0;
  std::string what = {};  // which process spoilt it; empty when the ranks ended in agreement
};

// SIGTERM and SIGUSR1 go on to all processes; when this one dies, so do they. Not to be called
// beside other threads: signals are waited for.
Result<Launched> launch(const LaunchOptions& options);

}  // namespace ration::train
