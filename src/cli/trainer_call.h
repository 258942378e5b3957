#pragma once

// ration-train called for something other than a run: the subcommands that ask a checkpoint.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace ration::cli {

// Takes what the trainer says, line by line, its errors not among them.
using HearTrainer = std::function<void(std::string_view line)>;

// Runs the trainer with these words and waits for it. What it says goes to this program's standard
// error, or, with `hear`, there, and its errors are the one that is returned. ErrorKind::input
// where it found run or data unusable; ErrorKind::interrupted after Ctrl-C or SIGTERM, which end
// it; else ErrorKind::resource.
Result<void> call_trainer(const Path& trainer,
                          const std::vector<std::string>& words,
                          const HearTrainer& hear = {});

// What is to be told where such a signal ended a call.
Error trainer_interrupted();

}  // namespace ration::cli
