#pragma once

// An experiment with fusion, from a sweep file to a folder with tables: joins what the driver needs
// to the rooms that fuse, train and evaluate.
//
//   Result<FusionExperiment> done = run_fusion_experiment(sweep, options, outside);
//   print(fusion_answer(done->study, done->findings));
//
// Writes <store>/studies/<name>/{rounds,losses,arms,tests}.csv, and the sweeps that it makes beside
// them. Repeating it finds fusions and runs done. Errors: those of parse_fusion_study, of prepared
// data and the base (usage, input), of fusions and runs; ErrorKind::interrupted: the same call
// continues.

#include "scheduler/scheduler.h"
#include "study/fusion/tables.h"

namespace ration::study {

struct FusionExperiment {
  FusionStudy study;
  FusionFindings findings;
  Path folder;
};

// What can be told before anything is trained: the table, the data that it names, and what
// fuse::check says of each arm.
Result<FusionStudy> check_fusion_experiment(const scheduler::Sweep& sweep,
                                            const scheduler::SweepOptions& options,
                                            Files& files);

Result<FusionExperiment> run_fusion_experiment(const scheduler::Sweep& sweep,
                                               const scheduler::SweepOptions& options,
                                               scheduler::Outside outside);

}  // namespace ration::study
