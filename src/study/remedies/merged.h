#pragma once

// Branches of a chain as one file of weights.

#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/result.h"

namespace ration::study {

// `recipe` without names (RemedyChain::recipe); `base` is read where its method needs one. The file
// appears whole. Errors: those of merge::merge_to_file.
Result<void> merge_weights(Files& files,
                           const Json& recipe,
                           const Path& base,
                           const std::vector<Path>& models,
                           const Path& output);

}  // namespace ration::study
