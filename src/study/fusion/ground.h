#pragma once

// The corpora and the model of an experiment with fusion, as the files tell.

#include "scheduler/sweep.h"
#include "study/fusion/sweeps.h"

namespace ration::study {

// The corpora of contributors, in their order, then the unseen ones; without held-out windows.
// ErrorKind::usage: an unseen corpus with the name or folder of another.
Result<std::vector<FusionCorpus>> corpora_of(const FusionStudy& study,
                                             const Path& folder,
                                             const std::string& data,
                                             const std::string& where);

// A run as those of the experiment are: for its context and vocabulary, and where it computes.
Result<scheduler::PlannedRun> model_run(const FusionStudy& study,
                                        const FusionGround& ground,
                                        Files& files);

// Fills in the held-out windows of each corpus.
Result<void> find_windows(const FusionStudy& study, FusionGround& ground, Files& files);

}  // namespace ration::study
