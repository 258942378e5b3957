#pragma once

// What must hold before points between runs are evaluated, so that bad input leaves nothing in the
// store. All errors are ErrorKind::input.

#include <string>
#include <vector>

#include "cli/command.h"
#include "run/folder.h"
#include "run/points.h"
#include "store/store.h"

namespace ration::cli {

// The files of these runs, which must be of one kind of model.
Result<std::vector<run::RunFile>> files_of(const store::Reader& store,
                                           const std::vector<std::string>& runs);

// Losses mean something where text becomes the tokens that the models were trained on: each corpus
// must have the tokenizer and end token of every run's own data. A run whose data is gone is held
// to its vocabulary alone.
Result<void> check_tokenizers(const std::vector<run::RunFile>& runs,
                              const std::vector<run::PointCorpus>& corpora);

}  // namespace ration::cli
