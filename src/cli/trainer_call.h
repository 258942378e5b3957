#pragma once

// ration-train called for something other than a run: the subcommands that ask a checkpoint.

#include <string>
#include <vector>

#include "base/files.h"

namespace ration::cli {

// Runs the trainer with these words and waits for it; what it says goes to this program's standard
// error. ErrorKind::input where it found run or data unusable, else ErrorKind::resource.
Result<void> call_trainer(const Path& trainer, const std::vector<std::string>& words);

}  // namespace ration::cli
