#include "cli/commands.h"

namespace ration::cli {

std::vector<Command> all_commands() {
  return {
      data_fetch_command(),   data_prepare_command(),
      data_info_command(),    data_show_command(),
      data_stats_command(),   data_diff_command(),
      data_score_command(),   init_command(),
      run_command(),          status_command(),
      explain_command(),      logs_command(),
      cancel_command(),       retry_command(),
      export_command(),       db_check_command(),
      db_rebuild_command(),   db_backup_command(),
      db_vacuum_command(),    import_command(),
      fit_command(),          fit_isoflop_command(),
      fit_envelope_command(), predict_command(),
      plan_command(),         plan_replay_command(),
      report_command(),       merge_command(),
      merge_diff_command(),   merge_statistics_command(),
      merge_sweep_command(),  fuse_run_command(),
      fuse_status_command(),  fuse_submit_command(),
      fuse_replay_command(),  fuse_report_command(),
      region_gram_command(),  region_cluster_command(),
      region_where_command(), region_centroid_command(),
      region_line_command(),  region_hull_command(),
      region_run_command(),   help_command(),
      completion_command(),   version_command(),
      supervise_command(),    slurm_task_command(),
  };
}

}  // namespace ration::cli
