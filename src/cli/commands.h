#pragma once

// One factory a subcommand; each stands in the file of its name. ration_program() fixes their
// order.

#include "cli/program.h"

namespace ration::cli {

Program ration_program();

Command cancel_command();
Command completion_command();
Command data_diff_command();
Command data_score_command();
Command data_fetch_command();
Command data_info_command();
Command data_prepare_command();
Command data_show_command();
Command data_stats_command();
Command db_backup_command();
Command db_check_command();
Command db_rebuild_command();
Command db_vacuum_command();
Command explain_command();
Command export_command();
Command fit_command();
Command fit_envelope_command();
Command fit_isoflop_command();
Command fuse_replay_command();
Command fuse_report_command();
Command fuse_run_command();
Command fuse_status_command();
Command fuse_submit_command();
Command help_command();
Command import_command();
Command init_command();
Command logs_command();
Command merge_command();
Command merge_diff_command();
Command region_run_command();
Command merge_statistics_command();
Command merge_sweep_command();
Command plan_command();
Command plan_replay_command();
Command predict_command();
Command region_centroid_command();
Command region_cluster_command();
Command region_gram_command();
Command region_hull_command();
Command region_line_command();
Command region_where_command();
Command remedies_command();
Command report_command();
Command retry_command();
Command eval_continuations_command();
Command eval_fib_command();
Command eval_generate_command();
Command eval_loss_command();
Command eval_pairs_command();
Command run_command();
Command status_command();
Command supervise_command();
Command slurm_task_command();
Command version_command();

}  // namespace ration::cli
