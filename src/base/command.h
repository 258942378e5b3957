#pragma once

// Other programs called with a deadline: one that asks a network or a cluster may stall for as long
// as that does. Words reach the program as they are; no shell is in between.
//
//   Result<Answer> head = call({"git", "rev-parse", "HEAD"}, 60, {.folder = "models"});

#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace ration {

struct Answer {
  int status = 0;          // exit status; 128 + n when signal n ended it
  bool timed_out = false;  // ended by us; what it did is unknown
  std::string out;
  std::string err;

  bool ok() const { return !timed_out && status == 0; }
  // The last line of its errors, or what else there is to say.
  std::string words() const;
};

struct CallOptions {
  Path folder = {};             // where it runs; empty = here
  std::string_view input = {};  // what it reads from its standard input
  Path input_file = {};         // or a file with that; empty = none
  Path output = {};             // a file for what it prints, instead of Answer::out; empty = none
};

// Runs `words`, the first of which is looked for on PATH, in a process group of its own that is
// killed after `seconds`. ErrorKind::resource when it cannot be started at all.
Result<Answer> call(const std::vector<std::string>& words,
                    double seconds,
                    const CallOptions& options = {});

}  // namespace ration
