#pragma once

// Scores of models by a command of the user, for greedy soups.

#include <string>

#include "base/files.h"
#include "merge/merge.h"
#include "merge/soup.h"

namespace ration::cli {

// Runs `command` through the shell, with each {} replaced by the quoted path (appended where there
// is no
// {}), and takes the last word that it prints as the score. ErrorKind::input where it fails or
// prints no number.
Result<double> score_by_command(const std::string& command, const Path& model);

// The greedy soup of the inputs' models. Candidates are written beside `output`, under a name that
// nobody else uses, and removed in the end.
Result<merge::Soup> soup_by_command(const std::string& command,
                                    bool higher_is_better,
                                    const merge::Inputs& inputs,
                                    const Path& output,
                                    const merge::Options& options);

// How the soup was chosen, for the output's metadata: the command and its direction, the models
// (SHA-256, or names where no digests are wanted), and the trials with their members' places among
// the models.
Json provenance_of(const merge::Soup& soup,
                   const std::string& command,
                   bool higher_is_better,
                   const merge::Inputs& inputs,
                   const merge::Options& options);

}  // namespace ration::cli
