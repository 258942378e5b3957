#pragma once

// What a run with `init` begins with, in place of drawn weights (docs/training.md).

#include "base/json.h"
#include "run/folder.h"
#include "train/parameters.h"

namespace ration::train {

// Loads the weights that file.spec.init names. Returns where they came from, for the log: run,
// attempt and step, or sha256 and file. ErrorKind::input: they are missing, unfinished or damaged;
// a model of another architecture, with all differences; data prepared with another tokenizer.
Result<Json> load_first_weights(Files& files,
                                const run::RunFolder& own,
                                const run::RunFile& file,
                                Parameters& parameters);

}  // namespace ration::train
