#include <fmt/format.h>

#include "cli/commands.h"
#include "scheduler/slurm/batch.h"
#include "scheduler/supervisor.h"

namespace ration::cli {
namespace {

Result<int> run_supervise(const Arguments& arguments) {
  Result<std::optional<std::int64_t>> number = arguments.whole("attempt", 1, 1'000'000'000);
  if (!number) return std::move(number).error();
  Result<std::optional<std::int64_t>> threads = arguments.whole("threads", 1, 1024);
  if (!threads) return std::move(threads).error();
  const auto token = arguments.text("token");
  const auto trainer = arguments.text("trainer");
  if (!*number || !token || !trainer)
    return Error{.kind = ErrorKind::usage,
                 .what = "supervise needs --attempt, --token and --trainer",
                 .hint = "`ration run` starts it"};
  return scheduler::supervise({.trainer = *trainer,
                               .run_folder = arguments.positional.front(),
                               .number = static_cast<int>(**number),
                               .token = *token,
                               .threads = (*threads).value_or(1),
                               .gpus = arguments.text("gpus").value_or("")},
                              real_files());
}

Result<int> run_slurm_task(const Arguments& arguments) {
  const auto trainer = arguments.text("trainer");
  if (!trainer)
    return Error{.kind = ErrorKind::usage,
                 .what = "slurm-task needs --trainer",
                 .hint = "jobs of `ration run --executor slurm` start it"};
  return scheduler::slurm::carry_out(real_files(), arguments.positional.front(), *trainer);
}

}  // namespace

Command slurm_task_command() {
  return {.name = "slurm-task",
          .summary = "Run one attempt inside a job; `ration run --executor slurm` submits these",
          .arguments = "BATCH_FOLDER",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {{.name = "trainer", .value = "PATH", .help = "The worker's program."}},
          .execute = run_slurm_task,
          .hidden = true};
}

Command supervise_command() {
  return {.name = "supervise",
          .summary = "Run one attempt and write how it ended; `ration run` starts it",
          .arguments = "RUN_FOLDER",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {{.name = "attempt", .value = "N", .help = "Number of the attempt to claim."},
                      {.name = "token", .value = "HEX", .help = "Its token."},
                      {.name = "threads",
                       .value = "N",
                       .default_value = "1",
                       .help = "Threads of the worker."},
                      {.name = "gpus",
                       .value = "UUIDS",
                       .help = "GPUs that the worker may see, with commas between."},
                      {.name = "trainer", .value = "PATH", .help = "The worker's program."}},
          .execute = run_supervise,
          .hidden = true};
}

}  // namespace ration::cli
