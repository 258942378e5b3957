#pragma once

// Filters as part of a preparation (data/keep.h): they see the training documents after the split,
// and what they leave becomes tokens.
//
//   FilterPlan plan;
//   plan.steps = {parse_step("near:0.8").value()};
//   options.filter = document_filter(plan);
//   options.overlap = overlap_check(plan);

#include "data/filter/filter.h"
#include "data/keep.h"
#include "data/progress.h"

namespace ration::data::filter {

// Each path is a folder of prepared data or text as `ration data prepare` reads it: a folder, a
// file, JSON lines.
struct FilterPlan {
  std::vector<Step> steps;
  // Held-out text beside that of the corpus itself: the held-out documents of prepared data, all
  // documents of other text.
  std::vector<Path> against = {};
  // What `perplexity` likes: the training documents of prepared data, all documents of other text.
  std::optional<Path> reference = {};
  // Tokens of the n-gram model (data/tokenizer.h), learned from the reference where it is learned.
  // Prepared data as reference bring their own. Some thousand pieces are what published filters
  // use.
  std::string reference_tokenizer = "bpe:4096";
  // Scores instead of a reference: a file of JSON lines, {"document": "path" or "path:line",
  // "score": number} (lower is better), with one for every training document. A line without
  // "document" may have "text_sha256" (digest_of in data/manifest.h), which must be this text's.
  std::optional<Path> scores = {};
  // Count what training documents share with held-out text before tokens are written.
  bool count_overlap = true;
  Resources resources = {};  // the folder for scratch files is the preparation's
  ProgressSink progress = {};
};

// What cannot be used before any text is read; empty when all can.
std::vector<Error> check(const FilterPlan& plan);

// Applies the steps; empty when there are none. Errors: those of run_steps; input (a text that
// cannot be read, a score that is missing).
DocumentFilter document_filter(FilterPlan plan);

// Looks for held-out text, 100 bytes or more in a row, in the training documents as they are left:
// {"length": 100, "documents": training documents that hold some, "bytes": of it, "own": {…},
// "against": [{…}]}, where "own" and each of `against` have "documents", "bytes", and of both how
// many were "documents_met" and "bytes_met" (at least).
OverlapCheck overlap_check(FilterPlan plan);

}  // namespace ration::data::filter
