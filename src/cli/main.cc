#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "cli/command.h"

namespace {

// Of the three usual streams those that are closed, as daemons leave them: what would be printed
// goes nowhere, and no other file gets their numbers.
void open_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDWR) != stream) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  open_closed_streams();
  // A limit on the size of files is an error like a full disk, not the end of the program.
  std::signal(SIGXFSZ, SIG_IGN);
  return ration::cli::run_program(argc, argv);
}
