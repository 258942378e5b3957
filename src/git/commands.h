#pragma once

// One factory a subcommand; each stands in the file of its name in commands/. git_program() fixes
// their order.

#include "cli/program.h"

namespace ration::git {

cli::Program git_program();

cli::Command filter_process_command();
cli::Command clean_command();
cli::Command smudge_command();
cli::Command install_command();
cli::Command uninstall_command();
cli::Command track_command();
cli::Command untrack_command();
cli::Command status_command();
cli::Command ls_command();
cli::Command commit_run_command();
cli::Command help_command();
cli::Command import_command();
cli::Command gc_command();
cli::Command repack_command();
cli::Command fsck_command();
cli::Command stats_command();
cli::Command push_command();
cli::Command fetch_command();
cli::Command pull_command();
cli::Command pre_push_command();
cli::Command diff_command();
cli::Command diff_driver_command();
cli::Command export_command();
cli::Command log_command();
cli::Command merge_command();
cli::Command merge_driver_command();
cli::Command textconv_command();
cli::Command version_command();

}  // namespace ration::git
