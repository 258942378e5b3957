#pragma once

// A study's models on its task of pairs.

#include "scheduler/scheduler.h"
#include "study/remedies/study.h"

namespace ration::cli {

// Asks the worker what each choice costs the weights, and scores the first prompt (the document
// alone) by avg_pmi, the benchmark's default. Weights that were asked before are not asked again:
// <store>/studies/<study>/task-scores.json keeps the shares by digests of task and weights.
study::ScoreTask task_scorer(const scheduler::SweepOptions& options,
                             scheduler::Outside outside,
                             const std::string& study);

}  // namespace ration::cli
