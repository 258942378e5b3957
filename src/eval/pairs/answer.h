#pragma once

// What the trainer answers to a request (docs/formats.md: ration.pair-scores/1).

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/pairs/request.h"
#include "eval/pairs/scores.h"

namespace ration::eval {

struct PairScores {
  std::string checkpoint;            // SHA-256 of the weights
  std::string run;                   // run-id whose settings they have; empty where there is none
  std::int64_t tokens_computed = 0;  // by passes that a prompt shares with all its choices
  std::int64_t tokens_alone = 0;     // that one pass a choice would have taken
  double seconds = 0;
  std::vector<std::vector<double>> logp;  // [choice of the request], nats of each token
};

// ErrorKind::input with FILE:LINE: another list, choices that are missing, out of order or of
// another length. A log probability that is no number is NaN.
Result<PairScores> parse_scores(std::string_view text,
                                const std::string& file,
                                const Request& request);

// [item][place of the prompt][choice].
using ItemSums = std::vector<std::vector<std::array<ChoiceSums, 2>>>;

// ErrorKind::input names the line of an item whose log probabilities are not finite.
Result<ItemSums> item_sums(const PairTask& task, const Request& request, const PairScores& scores);

}  // namespace ration::eval
