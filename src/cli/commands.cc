#include "cli/commands.h"

namespace ration::cli {
namespace {

std::vector<Command> all_commands() {
  return {
      data_fetch_command(),    data_prepare_command(),
      data_info_command(),     data_show_command(),
      data_stats_command(),    data_diff_command(),
      data_score_command(),    init_command(),
      run_command(),           status_command(),
      explain_command(),       logs_command(),
      cancel_command(),        retry_command(),
      export_command(),        db_check_command(),
      db_rebuild_command(),    db_backup_command(),
      db_vacuum_command(),     import_command(),
      fit_command(),           fit_isoflop_command(),
      fit_envelope_command(),  predict_command(),
      plan_command(),          plan_replay_command(),
      report_command(),        merge_command(),
      merge_diff_command(),    merge_statistics_command(),
      merge_sweep_command(),   fuse_run_command(),
      fuse_status_command(),   fuse_submit_command(),
      fuse_replay_command(),   fuse_report_command(),
      region_gram_command(),   region_cluster_command(),
      region_where_command(),  region_centroid_command(),
      region_line_command(),   region_hull_command(),
      region_run_command(),    remedies_command(),
      eval_fib_command(),      eval_pairs_command(),
      eval_generate_command(), eval_continuations_command(),
      eval_loss_command(),     help_command(),
      completion_command(),    version_command(),
      supervise_command(),     slurm_task_command(),
  };
}

}  // namespace

Program ration_program() {
  return {
      .name = "ration",
      .headline =
          "I have U unique tokens and C FLOPs. Which model size, how many epochs, how sure?",
      .exit_codes =
          "Exit codes: 0 ok · 1 some runs failed · 2 wrong usage or unusable input · 3 a resource "
          "is missing or full\n"
          "4 the fit is not to be trusted (--force overrides) · 5 interrupted, state saved · 70 a "
          "bug of ration\n",
      .more_help = "`ration help settings` the keys of a sweep file",
      .commands = all_commands()};
}

}  // namespace ration::cli
