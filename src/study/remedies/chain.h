#pragma once

// Remedies that go on from trained runs: branches of each run are trained and merged, so many
// rounds, and the result is trained on (RemedyChain, table.h). What trains and merges is passed in.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "run/spec.h"
#include "study/remedies/table.h"
#include "study/training.h"

namespace ration::study {

// A run that a chain begins with.
struct ChainStart {
  std::string run;   // run-id
  std::string size;  // "2x64", of its model
  std::int64_t replica = 0;
  run::RunSpec spec;
  run::Execution execution;
  double flops = 0;  // of its training
};

// What became of a start.
struct ChainEnd {
  std::size_t start = 0;  // of the starts
  Path weights;           // safetensors file
  std::string run = {};   // run-id, where the last step was training; empty: merged weights
  double loss = 0;        // held out, of the text of that run; NaN for merged weights
  double tokens = 0;      // that all runs of the chain saw, without donors
  double flops = 0;       // of all training, the start's with it, without donors
  double donors = 0;      // of what was trained for other purposes, too (RemedyChain::donors)
};

struct ChainSteps {
  std::function<Result<std::vector<TrainedRun>>(const Json& sweep)> train;
  // Merges weights by a recipe without names into a file that appears whole.
  std::function<Result<void>(
      const Json& recipe, const Path& base, const std::vector<Path>& models, const Path& output)>
      merge;
  std::function<Result<Path>(const std::string& run)> weights_of;
  std::function<void(std::string_view)> note = [](std::string_view) {};
};

struct ChainPlace {
  std::string name;  // begins the names of sweeps
  Path folder;       // of merged weights
  Path base;         // relative `data` starts here
};

// The settings of a run that goes on from `start`: of the start's own all that say how it was
// trained, and `more`. Other data have all their tokens, and held-out text of 64 windows. `init` is
// left to the caller.
Json settings_of_branch(const ChainStart& start, const Json& more, const Path& base);

// The sweep of a round (or of the finish): a block "s<start>-b<branch>" a run. `inits` are the
// starts' weights as settings. Seeds differ by round, branch and replica; `round` counts from 0.
Json round_sweep(std::span<const ChainStart> starts,
                 std::span<const std::string> inits,
                 std::span<const Json> branches,
                 std::int64_t round,
                 const ChainPlace& place);

// In the order of the starts; a chain with a run that diverged is left out. Errors: those of the
// steps.
Result<std::vector<ChainEnd>> carry_out_chain(const RemedyChain& chain,
                                              std::span<const ChainStart> starts,
                                              const ChainPlace& place,
                                              const ChainSteps& steps);

}  // namespace ration::study
