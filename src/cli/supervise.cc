#include <fmt/format.h>
#include <unistd.h>

#include "base/unsynced_files.h"
#include "cli/commands.h"
#include "scheduler/slurm/batch.h"
#include "scheduler/supervisor_pool.h"

namespace ration::cli {
namespace {

Result<int> run_supervise(const Arguments&) {
  // What its supervisors write matters as long as this machine is up.
  return scheduler::serve_supervisors(STDIN_FILENO, unsynced_files());
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
          .summary = "Supervise attempts as `ration run` asks over standard input, which starts it",
          .arguments = "[FOLDER]",
          .max_arguments = 1,
          .execute = run_supervise,
          .hidden = true};
}

}  // namespace ration::cli
