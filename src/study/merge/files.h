#pragma once

// Merged models that a list of points cannot make, because their method needs statistics of each
// model: they are merged into files, and evaluated as such.

#include <functional>
#include <string>

#include "base/files.h"
#include "study/merge/models.h"

namespace ration::study {

struct MergedFile {
  std::string name;  // for MergePoints::add_file
  std::string sha256;
  Path path;
};

using MergeToFile = std::function<Result<MergedFile>(const Json& recipe)>;

// Writes the Fisher information of a checkpoint on the training text of `data` into `file`, whole.
using MeasureFisher =
    std::function<Result<void>(const Path& checkpoint, const Path& data, const Path& file)>;

// Merges by the diagonal Fisher information that `measure` gives, each model's on its own corpus.
// Files lie in `folder`, called after what they were made of; what is there is not made again. All
// references must outlive the function.
MergeToFile merge_by_fisher(const MergeModels& models,
                            Files& files,
                            const Path& store,
                            const Path& folder,
                            MeasureFisher measure);

}  // namespace ration::study
