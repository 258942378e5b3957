#pragma once

// The checkpoint that an evaluation asks, as people name it.

#include <cstdint>
#include <memory>
#include <string>

#include "cli/command.h"
#include "data/manifest.h"
#include "data/tokenizer.h"
#include "run/spec.h"

namespace ration::cli {

struct AskedCheckpoint {
  std::string name;       // as it was given
  Path weights;           // what the trainer gets: a checkpoint's folder, or a file
  Path like;              // run folder whose settings a file has; empty = weights lie in a run
  run::RunFile run;       // the settings of either
  std::string run_id;     // empty for a file
  std::int64_t step = 0;  // of the checkpoint; 0 = of a file
};

// `word`: a run of --store (the unique beginning of its id) or its folder, for the checkpoint of
// its result or else its newest; with @STEP that one; a checkpoint's folder; a safetensors file, or
// git:REV:PATH, either with --like RUN. ErrorKind::input or usage: there is none such.
Result<AskedCheckpoint> find_checkpoint(const Arguments& arguments, const std::string& word);

// The tokenizer of the data that the run was trained on, or of --tokenizer DIR, where that data is
// gone. ErrorKind::input: missing, changed, or of another vocabulary than the model's.
struct AskedTokenizer {
  data::Manifest manifest;
  std::unique_ptr<data::Tokenizer> tokenizer;
};
Result<AskedTokenizer> find_tokenizer(const Arguments& arguments,
                                      const AskedCheckpoint& checkpoint);

// --checkpoint, --like, --tokenizer, --store and --trainer.
std::vector<Option> checkpoint_options();

}  // namespace ration::cli
