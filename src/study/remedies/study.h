#pragma once

// The table [remedies] of a sweep from end to end, but for the price: the sweep's runs, which are
// trained by now, the chains that go on from them, and one measured line for each.
//
//   if (Result<void> good = check_remedies(sweep, options, files); !good) …   // before training
//   Result<RemedyMeasures> measured = measure_remedies(sweep, options, outside, score);
//   write_measures(files, store, *measured);
//
// A repeated call finds all runs done, and gives the same bytes.

#include <functional>

#include "scheduler/scheduler.h"
#include "study/remedies/measures.h"

namespace ration::study {

// The share of a task's pairs that weights decide rightly, 0 to 1; `like` is a run of the store
// whose model they are of.
using ScoreTask =
    std::function<Result<double>(const Path& task, const Path& weights, const Path& like)>;

// All that is wrong with the table, the blocks and data that it names. Starts nothing.
Result<void> check_remedies(const scheduler::Sweep& sweep,
                            const scheduler::SweepOptions& options,
                            Files& files);

// Errors: those of check_remedies(), of the runs of chains and of eval::evaluate_points. `score` is
// called where the table names a task.
Result<RemedyMeasures> measure_remedies(const scheduler::Sweep& sweep,
                                        const scheduler::SweepOptions& options,
                                        scheduler::Outside outside,
                                        const ScoreTask& score);

}  // namespace ration::study
