#pragma once

// Copies of this program that work for the process that started them.

#include <sys/types.h>

#include <string>
#include <vector>

namespace ration::train {

// What a child does after fork(): becomes `program` with these words (the first is its name). It
// dies with `parent`, and leads a process group of its own: signals to the parent's group reach the
// parent, which passes them on once.
[[noreturn]] void become(const std::string& program,
                         const std::vector<std::string>& words,
                         pid_t parent);

// The program that runs here, for become().
inline constexpr const char* kThisProgram = "/proc/self/exe";

// Exit code of an ended child, or 128 + the signal that ended it, as in a shell.
int exit_code_of(int wait_status);
inline constexpr int kSignalBase = 128;

}  // namespace ration::train
