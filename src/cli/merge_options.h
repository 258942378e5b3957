#pragma once

// Options and files that the merge commands share.

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cli/command.h"
#include "merge/merge.h"

namespace ration::cli {

// Models given on the command line, opened. Moving it keeps the pointers of `inputs`.
struct OpenedModels {
  std::deque<checkpoint::Checkpoint> checkpoints;
  std::deque<merge::Named> base;  // one or none
  merge::Inputs inputs;
};

// Opens the base (where there is one), the models and their statistics (none, or one a model). A
// path is a safetensors file, an index of shards, a folder with either, or the folder of a run,
// which stands for the checkpoint of its result. All that cannot be opened is told.
Result<OpenedModels> open_models(const std::optional<std::string>& base,
                                 const std::vector<std::string>& models,
                                 const std::vector<std::string>& statistics = {});

// --threads, --ignore and --resize, which merging and comparing share.
std::vector<Option> model_options();
// Those, --dtype and --no-input-digests; progress goes to the console, which must outlive it.
Result<merge::Options> merge_options(const Arguments& arguments);

// "1,0.5,2" as an array of numbers; an error names the option.
Result<Json> numbers_of(std::string_view text, std::string_view option);

// The recipe that the options spell out; models and base are their paths.
Result<merge::Recipe> recipe_of(const Arguments& arguments);
std::vector<Option> recipe_options();

}  // namespace ration::cli
