#pragma once

// Options that the commands of `ration eval` over pairs share.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "eval/pairs/request.h"
#include "eval/pairs/scores.h"
#include "eval/pairs/statistics.h"

namespace ration::cli {

// `prompts` is the default of --prompts.
std::vector<Option> eval_options(const std::string& prompts);

struct EvalOptions {
  std::vector<eval::Score> scores;
  eval::RequestOptions request;
  eval::ClusterDraws draws;
  std::int64_t batch_tokens = 0;  // 0 = the trainer's own
  std::int64_t threads = 0;       // 0 = the run's setting
  bool skip_first = false;
  bool keep_tokens = false;
};

// ErrorKind::usage: all that is wrong with them, a missing --checkpoint too.
Result<EvalOptions> read_eval_options(const Arguments& arguments);

}  // namespace ration::cli
