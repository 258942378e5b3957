#pragma once

// What a simulated scheduler has written, and so still knows after it was killed.

#include <string>
#include <vector>

#include "scheduler/machine.h"

namespace ration::scheduler::simulation {

struct StoredAttempt {
  int number = 0;
  int process = -1;  // Outside's id of it; -1: recorded, and the scheduler was killed then
  bool ended = false;
  Need need = {};
  std::vector<std::string> gpus = {};
  Ending ending = {};
};

struct StoredRun {
  RunState state = RunState::ready;
  double not_before = 0;  // seconds
  std::vector<StoredAttempt> attempts = {};
  int forgiven = 0;                 // attempts up to this number do not count
  bool cancelled = false;           // a person's mark
  bool stopped = false;             // a rule's
  bool spared = false;              // a person took one of those back
  std::vector<double> losses = {};  // held out, known: one for each tenth of the work
};

using Records = std::vector<StoredRun>;

}  // namespace ration::scheduler::simulation
