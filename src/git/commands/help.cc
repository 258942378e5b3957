#include "cli/help.h"

#include <fmt/format.h>

#include "git/commands.h"

namespace ration::git {
namespace {

using cli::Arguments;

Result<int> run_help(const Arguments& arguments) { return show_help(git_program(), arguments); }

Result<int> run_version(const Arguments& arguments) {
  if (arguments.console.json)
    arguments.console.print_json(
        Json{{"schema", "ration.git-version/1"}, {"version", RATION_VERSION}});
  else
    arguments.console.print(fmt::format("git-ration {}\n", RATION_VERSION));
  return 0;
}

}  // namespace

cli::Command help_command() {
  return {.name = "help",
          .summary = "Explain a command",
          .arguments = "[COMMAND]",
          .max_arguments = 2,
          .description =
              "`git ration --help` looks for a manual page, as git does with every command:\n"
              "type `git ration help`, or `git-ration --help`.",
          .execute = run_help};
}

cli::Command version_command() {
  return {.name = "version", .summary = "Print the version of the program", .execute = run_version};
}

}  // namespace ration::git
