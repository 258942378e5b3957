#pragma once

// ration-train --pairs: ln p of each token of choices behind prompts, by one checkpoint or several,
// as a file of JSON lines (docs/formats.md, "Scores of choices"). What is computed:
// choice_reader.h.
//
//   score_pairs({.list = "pairs.jsonl", .checkpoints = {"store/runs/4c…"}, .output = "out.jsonl"},
//               world, say)
//
// On a processor a run with precision bf16 is computed in fp32.

#include <functional>
#include <string>
#include <vector>

#include "train/surroundings.h"
#include "train/worker.h"

namespace ration::train {

struct PairOptions {
  Path list;
  // Of attempts, or run folders: their result, or the newest that is whole. With `like`: whatever
  // checkpoint::Checkpoint opens.
  std::vector<Path> checkpoints;
  // A run folder that says which model the files are of; empty: each checkpoint's own run does.
  Path like = {};
  Path output;  // replaced when all is computed, not before
  // "batch_tokens=2048": tokens that go through the model together, from 1 on; "source=1": as which
  // source of the run all is read, where its router is told one (0, its main data); and execution
  // settings in place of the run's: "device=cuda", "threads=2".
  std::vector<std::string> settings = {};
};

// `say` gets a line now and then. Exits: usage (no run, a setting that is none), data (a list that
// is damaged or asks for more than the model's context; a checkpoint that is missing, broken, of
// another model, or gives no finite number), other (no GPU; the file cannot be written). Throws
// what LibTorch throws.
WorkerOutcome score_pairs(const PairOptions& options,
                          Surroundings& world,
                          const std::function<void(const std::string&)>& say);

}  // namespace ration::train
