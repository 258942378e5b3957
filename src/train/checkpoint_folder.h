#pragma once

// Checkpoints of a run: checkpoint-<step>/ below an attempt, with model.safetensors (weights alone,
// loadable anywhere), state.safetensors (Adam's moments) and meta.json. Published by rename, so a
// folder of that name is whole; the newest one that still reads back right is where a run
// continues.

#include <optional>
#include <string>
#include <vector>

#include "run/folder.h"
#include "train/adamw.h"
#include "train/parameters.h"

namespace ration::train {

// What was found for a resume.
struct FoundCheckpoint {
  int attempt = 0;
  std::int64_t step = 0;
  Json progress;  // as given to save()
};

// attempt-<n>/checkpoint-<step>, as results and scores name a checkpoint below its run folder.
struct CheckpointName {
  int attempt = 0;
  std::int64_t step = 0;
  std::string text() const;
};
// Of the last two parts of a path; nothing where they are no such name.
std::optional<CheckpointName> checkpoint_name(const Path& path);

class CheckpointFolder {
 public:
  CheckpointFolder(Files& files, run::RunFolder folder, std::string run_id)
      : files_(&files), folder_(std::move(folder)), run_id_(std::move(run_id)) {}

  // Which checkpoints of an attempt outlive newer ones, beside the newest two.
  struct Keep {
    std::int64_t multiple = 0;             // the newest two at multiples of it; 0: none
    std::vector<std::int64_t> steps = {};  // and these, always
  };

  // Writes checkpoint-<step> of this attempt and removes what is not to be kept of it. Returns its
  // path.
  Result<Path> save(int attempt,
                    std::int64_t step,
                    Parameters& parameters,
                    AdamW& optimiser,
                    const Json& progress,
                    const Keep& keep);
  Result<Path> save(int attempt,
                    std::int64_t step,
                    Parameters& parameters,
                    AdamW& optimiser,
                    const Json& progress) {
    return save(attempt, step, parameters, optimiser, progress, {});
  }

  // Loads the newest valid checkpoint of the attempts up to `attempt` into parameters and
  // optimiser; nothing when there is none. Broken ones are passed over and described in `broken`.
  Result<std::optional<FoundCheckpoint>> load_newest(int attempt,
                                                     Parameters& parameters,
                                                     AdamW& optimiser,
                                                     std::vector<std::string>& broken);

  // Loads the checkpoint of one step, of the newest attempt up to `attempt` that has it; step 0 is
  // an error.
  Result<FoundCheckpoint> load_step(int attempt,
                                    std::int64_t step,
                                    Parameters& parameters,
                                    AdamW& optimiser);

  // Loads the weights alone, of exactly this checkpoint.
  Result<FoundCheckpoint> load_weights(int attempt,
                                       std::int64_t step,
                                       Parameters& parameters) const;
  // The same of the newest valid checkpoint of any attempt; nothing when there is none.
  Result<std::optional<FoundCheckpoint>> load_newest_weights(
      Parameters& parameters, std::vector<std::string>& broken) const;

  // The file of weights of exactly this checkpoint, after checking that it is whole.
  Result<Path> weights_path(const CheckpointName& name) const;
  // Of the newest attempt whose checkpoint of this step is whole.
  Result<CheckpointName> find_step(std::int64_t step) const;

  // Removes those of this attempt that lie behind `step`.
  Result<void> forget_after(int attempt, std::int64_t step);

 private:
  Result<std::vector<std::int64_t>> steps_of(int attempt) const;
  Path path_of(int attempt, std::int64_t step) const;
  Result<Json> load(int attempt, std::int64_t step, Parameters& parameters, AdamW* optimiser) const;
  Result<std::optional<FoundCheckpoint>> newest(int attempt,
                                                Parameters& parameters,
                                                AdamW* optimiser,
                                                std::vector<std::string>& broken) const;

  Files* files_;
  run::RunFolder folder_;
  std::string run_id_;
};

}  // namespace ration::train
