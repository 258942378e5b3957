#pragma once

// ration-train --score: what each training document of prepared data costs a checkpoint to predict,
// as a file of JSON lines (docs/formats.md, "Scores"). What is computed: document_losses.h.
//
//   score({.data = "data/web", .checkpoint = "store/runs/4c…", .output = "scores.jsonl"}, world,
//   say)
//
// The run's execution settings hold (device, threads, products), and its precision.

#include <functional>
#include <string>
#include <vector>

#include "train/surroundings.h"
#include "train/worker.h"

namespace ration::train {

struct ScoreOptions {
  Path data;        // prepared data; with the tokenizer of the run's own data
  Path checkpoint;  // of an attempt; or a run folder: of its result, or the newest that is whole
  Path output;      // replaced when all documents are scored, not before
  // "device=cuda": execution settings in place of the run's; "source=1": as which source of the run
  // the data are read, where its router is told one and they are none of its sources.
  std::vector<std::string> settings = {};
};

// `say` gets a line now and then. Exits: usage (no run, a setting that is none), data (missing or
// damaged, of another tokenizer; a checkpoint that is missing, broken, or gives no finite loss),
// other (the file cannot be written). Throws what LibTorch throws.
WorkerOutcome score(const ScoreOptions& options,
                    Surroundings& world,
                    const std::function<void(const std::string&)>& say);

}  // namespace ration::train
