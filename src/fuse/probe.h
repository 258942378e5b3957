#pragma once

// The probes of a fusion: text that nobody trains on, and models evaluated on it by runs of the
// scheduler. Internal to the room.

#include "fuse/fuse.h"
#include "run/points.h"
#include "run/spec.h"
#include "scheduler/scheduler.h"

namespace ration::fuse {

// Held-out windows of the probes, of each at most probe_windows. Refused: data that is missing, of
// another vocabulary than the models, or with fewer than two windows.
Result<std::vector<run::PointCorpus>> probe_corpora(const Config& config,
                                                    const Setup& setup,
                                                    const run::RunSpec& shape,
                                                    Files& files);

// The model that the base is, by a run on the first probe: for a fusion that trains nobody.
Result<scheduler::PlannedRun> probe_shape(const Config& config, const Setup& setup, Files& files);

// Losses of each model on each window of the probes, in nats a token; `shape` is their model.
Result<std::vector<std::vector<double>>> evaluate_probes(const Config& config,
                                                         const Setup& setup,
                                                         const scheduler::PlannedRun& shape,
                                                         scheduler::Outside outside,
                                                         const std::vector<Path>& models);

}  // namespace ration::fuse
