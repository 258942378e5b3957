#pragma once

// What a study of merging works on: a base, models that were tuned from it on one corpus each,
// perhaps several times (replicas), and models that were trained on several corpora at once.

#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "run/points.h"
#include "scheduler/sweep.h"
#include "study/merge/table.h"
#include "study/models.h"

namespace ration::study {

struct MergeModels {
  struct Multitask {
    std::vector<std::size_t> corpora;  // ascending
    std::vector<std::string> models;   // of each replica
  };

  std::vector<std::string> corpora;             // names, distinct
  std::vector<HeldOut> windows;                 // of each corpus
  std::vector<std::int64_t> replicas;           // their numbers, ascending
  std::vector<std::string> base;                // of each replica, names of `weights`
  std::vector<std::vector<std::string>> own;    // [corpus][replica]
  std::vector<Multitask> multitask;             // may be empty
  std::map<std::string, run::Weights> weights;  // by name
  std::map<std::string, std::string> files;     // of weights known by content, by name
  run::RunSpec shape;                           // which function the weights are
  run::Execution execution;                     // how they are evaluated
};

// The runs of `sweep` that the table names, or the weights, whose runs are in `store`. Nothing
// needs to be trained yet: a mistake costs nothing then. Errors: blocks that are not there, runs
// without a partner of each corpus and replica, models that begin with another base
// (ErrorKind::usage); data and weights that cannot be read (ErrorKind::input).
Result<MergeModels> merge_models(const MergeTable& table,
                                 const scheduler::Sweep& sweep,
                                 Files& files,
                                 const Path& store,
                                 const scheduler::ExpandOptions& options = {});

// Where the weights lie: a file, or a folder with model.safetensors. ErrorKind::input where the run
// has none.
Result<Path> checkpoint_path(Files& files,
                             const Path& store,
                             const MergeModels& models,
                             const std::string& name);

}  // namespace ration::study
