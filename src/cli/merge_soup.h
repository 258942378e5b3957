#pragma once

// Scores of models by a command of the user, for greedy soups.

#include <string>

#include "base/files.h"
#include "merge/merge.h"
#include "merge/soup.h"

namespace ration::cli {

// Runs `command` through the shell, with {} replaced by the quoted path (appended where there is no
// {}), and takes the last word that it prints as the score. ErrorKind::input where it fails or
// prints no number.
Result<double> score_by_command(const std::string& command, const Path& model);

// The greedy soup of the inputs' models: each candidate is written beside `output`, scored and
// removed.
Result<merge::Soup> soup_by_command(const std::string& command,
                                    bool higher_is_better,
                                    const merge::Inputs& inputs,
                                    const Path& output,
                                    const merge::Options& options);

}  // namespace ration::cli
