#pragma once

// What an evaluation leaves for other programs: one JSON document (docs/formats.md, ration.eval/1),
// and the tokens of every choice where they are to be kept.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "eval/pairs/answer.h"
#include "eval/pairs/summary.h"

namespace ration::eval {

// Whose weights were asked.
struct Judge {
  std::string name;       // as it was given
  std::string sha256;     // of the weights
  std::string run;        // run-id; empty for a file of no run
  std::int64_t step = 0;  // of the checkpoint; 0 = not known
};

struct EvaluationSettings {
  std::string task;  // "fib", "pairs", "generated"
  RequestOptions request;
  std::string tokenizer;  // digest of its model; empty for bytes
  ClusterDraws draws;
};

// An evaluation of one checkpoint; with another one, what that differs in.
struct Evaluation {
  const PairTask& task;
  const Request& request;
  EvaluationSettings settings;
  Judge judge;
  std::int64_t tokens_computed = 0;
  std::int64_t tokens_alone = 0;
  std::vector<ScoreSummary> summaries;
  std::optional<Judge> against = {};
  std::vector<Comparison> comparisons = {};  // of the summaries: the judge less `against`
};

Json document_of(const Evaluation& evaluation);

// JSON lines: a heading, then what all scores of each choice of each item behind each prompt follow
// from (docs/formats.md, ration.eval_sums/1).
std::string sums_text(const PairTask& task,
                      const Request& request,
                      const RequestOptions& options,
                      const std::string& checkpoint,  // SHA-256 of its weights
                      const ItemSums& sums);

// JSON lines: a heading, then each choice of each item behind each prompt with its token ids and
// both log probabilities of each (docs/formats.md, ration.eval_tokens/1).
std::string tokens_text(const PairTask& task,
                        const Request& request,
                        const RequestOptions& options,
                        const PairScores& scores);

}  // namespace ration::eval
