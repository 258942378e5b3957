#pragma once

// The checkpoint that somebody names on the command line, of a run that is finished or on its way:
// what --score and --statistics take.
//
//   Result<NamedCheckpoint> named = find_checkpoint(files, "store/runs/4c…");
//   Result<run::RunFile> file = read_run(files, named->run, settings);

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "data/shards.h"
#include "run/folder.h"
#include "train/checkpoint_folder.h"
#include "train/products.h"

namespace ration::train {

// Whose weights: the run's folder, and which of its checkpoints where one is named.
struct NamedCheckpoint {
  Path run;
  std::optional<CheckpointName> checkpoint;
};

// A folder that holds run.json, that file, or attempt-<n>/checkpoint-<step> below such a folder;
// ErrorKind::usage for anything else.
Result<NamedCheckpoint> find_checkpoint(Files& files, const Path& given);

// The run with execution settings replaced ("device=cuda"); ErrorKind::usage for other words.
Result<run::RunFile> read_run(Files& files,
                              const Path& folder,
                              std::span<const std::string> settings);

// ErrorKind::input unless the data of `manifest`, in `folder`, are the run's own, one of its
// sources, or were prepared with the tokenizer of its own data.
Result<void> check_tokenizer(Files& files,
                             const Path& folder,
                             const data::Manifest& manifest,
                             const run::RunFile& file);

// The training split of prepared data, read whole and compared with its digests, and its manifest.
// ErrorKind::input: missing, damaged or of another tokenizer.
struct TrainingText {
  data::Manifest manifest;
  data::TokenPool pool;
};
Result<TrainingText> open_training_text(Files& files, const Path& folder, const run::RunFile& file);

// Loads the weights of the checkpoint that is named, or that the run's result names, or of the
// newest that is whole; `say` gets a line for each broken one. ErrorKind::input when there is none.
Result<FoundCheckpoint> load_weights(Files& files,
                                     const NamedCheckpoint& named,
                                     const run::RunFile& file,
                                     Parameters& parameters,
                                     const std::function<void(const std::string&)>& say);

// What the run's settings ask for, else what its checkpoint was trained with.
Products products_of(const run::RunFile& file, const FoundCheckpoint& found);

}  // namespace ration::train
