#include "cli/commands.h"

namespace ration::cli {

std::vector<Command> all_commands() {
  return {
      help_command(),
      completion_command(),
      version_command(),
  };
}

}  // namespace ration::cli
