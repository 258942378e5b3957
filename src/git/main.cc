#include <csignal>

#include "git/commands.h"

int main(int argc, char** argv) {
  // git may go while it is answered: then a write fails, and what was begun is put away.
  std::signal(SIGPIPE, SIG_IGN);
  return ration::cli::run_process(ration::git::git_program(), argc, argv);
}
