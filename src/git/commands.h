#pragma once

// One factory a subcommand; each stands in the file of its name in commands/. git_program() fixes
// their order.

#include "cli/program.h"

namespace ration::git {

cli::Program git_program();

cli::Command help_command();
cli::Command version_command();

}  // namespace ration::git
