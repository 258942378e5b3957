#include "cli/command.h"

int main(int argc, char** argv) { return ration::cli::run_program(argc, argv); }
