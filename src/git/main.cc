#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "git/commands.h"

namespace {

// git's folders as the environment names them, independent of where this program calls git from.
void make_absolute(const char* name) {
  const char* value = std::getenv(name);
  std::error_code code;
  if (value == nullptr || *value == '\0') return;
  const std::filesystem::path path = std::filesystem::absolute(value, code);
  if (!code) setenv(name, path.c_str(), 1);
}

}  // namespace

int main(int argc, char** argv) {
  for (const char* name : {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"}) make_absolute(name);
  // git may go while it is answered: then a write fails, and what was begun is put away.
  std::signal(SIGPIPE, SIG_IGN);
  return ration::cli::run_process(ration::git::git_program(), argc, argv);
}
