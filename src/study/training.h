#pragma once

// Runs that a study trains beside those of the sweep file, and where trained weights lie.
//
//   Result<std::vector<TrainedRun>> runs = train_sweep(json, folder, options, outside);

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/spec.h"
#include "scheduler/scheduler.h"

namespace ration::study {

// A finished run of a sweep.
struct TrainedRun {
  std::string block;
  std::string run;   // run-id
  std::string init;  // as the run's settings have it
  std::int64_t seed = 0;
  std::int64_t tokens = 0;
  double loss = 0;   // held-out, at its end; NaN where it diverged
  double flops = 0;  // of its training, convention `exact`, without what a policy adds
};

// Writes `sweep` as <folder>/<its name>.json and trains its runs; in the order of its expansion.
// Errors: those of read_sweep, expand and run_sweep; runs that did not come to their end
// (eval::why_unfinished). A repeated call finds them done.
Result<std::vector<TrainedRun>> train_sweep(const Json& sweep,
                                            const Path& folder,
                                            const scheduler::SweepOptions& options,
                                            scheduler::Outside outside);

// Takes from a run, into settings of another, where and how it is computed, but not its data.
void keep_execution(const run::Execution& execution, Json& settings);

// The file of weights that the result of a run of the store names. ErrorKind::input where there is
// none.
Result<Path> weights_of_run(Files& files, const Path& store, const std::string& run);

}  // namespace ration::study
