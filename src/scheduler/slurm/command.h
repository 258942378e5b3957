#pragma once

// Programs of a cluster called with a deadline: they may stall for as long as its controller does.
// Words reach the program as they are; no shell is in between.

#include <string>
#include <vector>

#include "base/result.h"

namespace ration::scheduler::slurm {

struct Answer {
  int status = 0;          // exit status; 128 + n when signal n ended it
  bool timed_out = false;  // ended by us; what it did is unknown
  std::string out;
  std::string err;

  bool ok() const { return !timed_out && status == 0; }
  // The last line of its errors, or what else there is to say.
  std::string words() const;
};

// Runs `words`, the first of which is looked for on PATH, in a process group of its own that is
// killed after `seconds`. ErrorKind::resource when it cannot be started at all.
Result<Answer> call(const std::vector<std::string>& words, double seconds);

}  // namespace ration::scheduler::slurm
