#pragma once

// The table [merge] of a sweep file from end to end: its models, which are trained by now, the runs
// that evaluate them merged, and what is written about it.
//
//   if (Result<void> good = check_merge_sweep(sweep, options, files); !good) …  // before training
//   Result<MergeReport> report = study_merges(sweep, options, outside, measure_fisher);
//   write_merge_report(files, store, *report, script);
//
// A repeated call finds the runs that evaluate done, and gives the same bytes.

#include "scheduler/scheduler.h"
#include "study/merge/output.h"

namespace ration::study {

// All that is wrong with the table, the blocks, weights and data that it names. Starts nothing.
Result<void> check_merge_sweep(const scheduler::Sweep& sweep,
                               const scheduler::SweepOptions& options,
                               Files& files);

// Errors: those of check_merge_sweep(), of eval::evaluate_points and of carry_out_merges().
// `measure_fisher` is called where the method fisher is among those of the table.
Result<MergeReport> study_merges(const scheduler::Sweep& sweep,
                                 const scheduler::SweepOptions& options,
                                 scheduler::Outside outside,
                                 const MeasureFisher& measure_fisher);

// The tables and page.html below study_folder(); `script` draws the figures (report/page.h). The
// folder.
Result<Path> write_merge_report(Files& files,
                                const Path& store,
                                const MergeReport& report,
                                std::string_view script);

}  // namespace ration::study
