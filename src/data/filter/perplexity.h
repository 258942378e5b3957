#pragma once

// Keeps documents by how well an n-gram model of a reference corpus predicts them.
//
// Low perplexity means text like the reference, but also templates and long documents: the report
// gives the rank correlation with length, the shares kept by origin and length, and how much of
// what is kept near-duplicates are.

#include <span>

#include "data/filter/ngram.h"
#include "data/filter/report.h"
#include "data/tokenizer.h"

namespace ration::data::filter {

enum class PerplexityUnit { token, byte };

struct PerplexityOptions {
  // Keeps the documents from this share of the ranks to that one, 0 <= low < high <= 1; rank 0 is
  // the lowest perplexity. The lowest half is what served best in published runs.
  double low = 0;
  double high = 0.5;
  // Tokens of an n-gram, 1 … 8; 0: five, or three for references below ten million tokens, where
  // longer ones are seldom seen twice.
  int order = 0;
  // exp(mean nats) a token, or a byte of text; the end of the document counts as one of either.
  // Bytes compare documents whose tokens differ in length; tokens are what published filters use.
  PerplexityUnit unit = PerplexityUnit::token;
};

std::vector<Error> check(const PerplexityOptions& options);

// Errors: usage (options), input (an empty reference), resource (the model takes more memory than
// allowed), and those of the tokenizer and the corpora.
Result<FilterReport> perplexity_filter(const DocumentSource& source,
                                       const DocumentSource& reference,
                                       const Tokenizer& tokenizer,
                                       const PerplexityOptions& options,
                                       const Resources& resources);

// Keeps documents by scores that something else gave them, such as a trained model's nats a token,
// instead of an n-gram model's; `scores[i]` is that of document i, `scores_sha256` names them in
// the record. Of the options, only the ranks count. Error (ErrorKind::usage): options.
Result<FilterReport> score_filter(const DocumentSource& source,
                                  std::span<const double> scores,
                                  const std::string& scores_sha256,
                                  const PerplexityOptions& options,
                                  const Resources& resources);

// The model of a reference; `order` as in PerplexityOptions.
Result<NgramModel> model_of(const DocumentSource& reference,
                            const Tokenizer& tokenizer,
                            int order,
                            const Resources& resources);

// Drops the documents whose scores rank outside [low, high) · n, rounded to whole documents; equal
// scores rank by document. For scores of any origin: those of a trained model too.
std::vector<Change> drop_by_rank(std::span<const double> scores, double low, double high);

// Spearman's rank correlation, equal values sharing their mean rank; NaN for fewer than two values
// or values that are all equal.
double rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace ration::data::filter
