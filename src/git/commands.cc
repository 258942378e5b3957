#include "git/commands.h"

namespace ration::git {

cli::Program git_program() {
  return {.name = "git ration",
          .headline = "versions of checkpoints in git, none of which loses a bit.",
          .exit_codes =
              "Exit codes: 0 ok · 1 something was found: conflicts, damage, differences · 2 wrong "
              "usage or unusable input\n"
              "3 a resource is missing or full · 5 interrupted · 70 a bug of ration\n",
          .commands = {
              install_command(),      uninstall_command(),   track_command(),
              untrack_command(),      status_command(),      ls_command(),
              commit_run_command(),   import_command(),      diff_command(),
              log_command(),          export_command(),      merge_command(),
              push_command(),         fetch_command(),       pull_command(),
              pre_push_command(),     gc_command(),          repack_command(),
              fsck_command(),         stats_command(),       filter_process_command(),
              clean_command(),        smudge_command(),      help_command(),
              version_command(),      diff_driver_command(), textconv_command(),
              merge_driver_command(),
          }};
}

}  // namespace ration::git
