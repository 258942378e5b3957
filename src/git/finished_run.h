#pragma once

// A finished run of ration and its weights, for a commit.

#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace ration::git {

struct FinishedRun {
  std::string id;
  Path weights;  // the safetensors file of its result
  // Lines that a commit message ends with: "Ration-Run", "Ration-Loss" (held out, at the end, nats
  // a token), "Ration-Best-Loss" (the lowest on the way), "Ration-Steps", "Ration-Tokens".
  std::vector<std::pair<std::string, std::string>> trailers;
};

// `run` is a run's folder, or the beginning of a run-id below <store>/runs/ that only one has.
// ErrorKind::usage for a run that is not there, is not finished, diverged, or has no weights.
Result<FinishedRun> find_finished_run(Files& files, const Path& store, const std::string& run);

}  // namespace ration::git
