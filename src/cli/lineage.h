#pragma once

// What run folders say of the models in them: whether they are models of one kind, and whether they
// began with the base.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace ration::cli {

// `base` and `models` as the user named them: run folders, or checkpoints below one; of any other
// file nothing is known, and nothing said. ErrorKind::input, all problems in one: models whose
// settings make them other functions of their tensors (heads, rope_base, …) or whose text was
// tokenized otherwise; models that did not begin with the base, followed through `init` as far as
// the store goes.
Result<void> check_lineage(Files& files,
                           const std::optional<std::string>& base,
                           const std::vector<std::string>& models);

}  // namespace ration::cli
