#pragma once

// A program of subcommands: what people see first, and the way from words to the command.

#include <string>
#include <vector>

#include "cli/command.h"

namespace ration::cli {

struct Program {
  std::string name;            // as it is typed: "ration"
  std::string headline;        // what it answers, one line
  std::string exit_codes;      // the lines that explain them
  std::string more_help = {};  // what `help` knows besides commands: "`ration help settings` …"
  std::vector<Command> commands;  // in the order of the help page
};

// Returns the exit code. Prints errors to stderr (as JSON on stdout under --json).
int run_program(const Program& program, int argc, const char* const* argv);

// The same as the whole of a process: streams that are closed go nowhere, and a limit on the size
// of files is an error like a full disk.
int run_process(const Program& program, int argc, const char* const* argv);

}  // namespace ration::cli
