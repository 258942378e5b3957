#include "cli/commands.h"

int main(int argc, char** argv) {
  return ration::cli::run_process(ration::cli::ration_program(), argc, argv);
}
