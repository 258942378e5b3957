#include <fmt/format.h>

#include "base/files.h"
#include "cli/commands.h"
#include "scheduler/sweep.h"

namespace ration::cli {
namespace {

Result<int> run_init(const Arguments& arguments) {
  const std::string file = arguments.positional.empty() ? "sweep.toml" : arguments.positional[0];
  const std::string text = scheduler::starter_sweep(arguments.text("data").value());
  if (const auto sweep = scheduler::read_sweep(text, file); !sweep) return sweep.error();
  const Result<bool> written = real_files().write_exclusively(file, text);
  if (!written) return written.error();
  if (!*written)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} exists already", file),
                 .hint = "name another file, or remove this one"};
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", "ration.init/1"}, {"file", file}});
  else
    arguments.console.print(file + "\n");
  arguments.console.note(fmt::format("next: ration run {} --dry-run", file));
  return 0;
}

}  // namespace

Command init_command() {
  return {.name = "init",
          .summary = "Write a small commented sweep file to start from",
          .arguments = "[FILE]",
          .max_arguments = 1,
          .options = {{.name = "data",
                       .value = "FOLDER",
                       .default_value = "data",
                       .help = "Prepared data that the sweep names; a relative path starts at the "
                               "folder of FILE."}},
          .description =
              "FILE is sweep.toml by default and is never overwritten. docs/sweeps.md\n"
              "explains the keys, `ration help settings` the settings.\n\n"
              "  ration init && ration run sweep.toml --dry-run",
          .execute = run_init};
}

}  // namespace ration::cli
