#include <charconv>

#include "cli/commands.h"
#include "scheduler/supervisor.h"

namespace ration::cli {
namespace {

Result<int> run_supervise(const Arguments& arguments) {
  Result<std::optional<std::int64_t>> attempt = arguments.integer("attempt");
  if (!attempt) return std::move(attempt).error();
  Result<std::optional<std::int64_t>> threads = arguments.integer("threads");
  if (!threads) return std::move(threads).error();
  if (!*attempt || !arguments.text("token") || !arguments.text("trainer"))
    return Error{.kind = ErrorKind::usage,
                 .what = "--attempt, --token and --trainer are needed",
                 .hint = "this command is for `ration run`, which starts it by itself"};
  return scheduler::supervise({.trainer = *arguments.text("trainer"),
                               .run_folder = arguments.positional.front(),
                               .number = static_cast<int>(**attempt),
                               .token = *arguments.text("token"),
                               .threads = (*threads).value_or(1)},
                              real_files());
}

}  // namespace

Command supervise_command() {
  return {.name = "supervise",
          .summary = "Carry out one attempt of a run (started by `ration run`)",
          .arguments = "RUN_FOLDER",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {{.name = "attempt", .value = "N", .help = "Number of the attempt to claim."},
                      {.name = "token", .value = "HEX", .help = "Token of the attempt."},
                      {.name = "threads",
                       .value = "N",
                       .default_value = "1",
                       .help = "Threads of the worker."},
                      {.name = "trainer", .value = "PATH", .help = "The worker's program."}},
          .execute = run_supervise,
          .hidden = true};
}

}  // namespace ration::cli
