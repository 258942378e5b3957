#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "run/spec.h"

namespace ration::cli {
namespace {

std::string field_lines(std::span<const run::Field> fields) {
  std::string page;
  for (const run::Field& field : fields) {
    const std::string value =
        std::visit([](const auto& v) { return fmt::format("{}", v); }, field.default_value);
    const bool unit = field.unit.size() > 1;  // "1" is a plain number
    page += fmt::format("  {} = {}   [{}{}{}]\n",
                        field.name,
                        value.empty() ? "\"\"" : value,
                        field.range,
                        unit ? " " : "",
                        unit ? field.unit : "");
    page += wrapped(field.why, 6, 80);
  }
  return page;
}

Result<int> run_help(const Arguments& arguments) {
  if (arguments.positional != std::vector<std::string>{"settings"})
    return show_help(ration_program(), arguments);
  arguments.console.print(
      "Settings of a run: keys of a sweep file. The first group is the run's identity.\n\n");
  arguments.console.print(field_lines(run::identity_fields()));
  arguments.console.print("\nExecution: these change no number of the result.\n\n");
  arguments.console.print(field_lines(run::execution_fields()));
  return 0;
}

Result<int> run_completion(const Arguments& arguments) {
  if (arguments.positional.front() != "bash")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("no completion for \"{}\"", arguments.positional.front()),
                 .hint = "bash is there: source <(ration completion bash)"};
  arguments.console.print(bash_completion(ration_program()));
  return 0;
}

Result<int> run_version(const Arguments& arguments) {
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", "ration.version/1"},
                                      {"version", RATION_VERSION},
                                      {"numerics", run::kNumericsVersion}});
  else
    arguments.console.print(
        fmt::format("ration {} (numerics {})\n", RATION_VERSION, run::kNumericsVersion));
  return 0;
}

}  // namespace

Command help_command() {
  return {.name = "help",
          .summary = "Explain a command, or the settings of a run (ration help settings)",
          .arguments = "[COMMAND | settings]",
          .max_arguments = 2,
          .execute = run_help};
}

Command completion_command() {
  return {.name = "completion",
          .summary = "Print completion for a shell: source <(ration completion bash)",
          .arguments = "bash",
          .min_arguments = 1,
          .max_arguments = 1,
          .execute = run_completion};
}

Command version_command() {
  return {.name = "version",
          .summary = "Print the version of the program and of the trainer's arithmetic",
          .execute = run_version};
}

}  // namespace ration::cli
