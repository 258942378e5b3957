#pragma once

// What the numbers of a study of merging may claim: intervals that resample corpora and replicas,
// since subsets overlap and are not independent, and Holm's correction over all comparisons.

#include <cstdint>
#include <string>
#include <vector>

#include "study/merge/study.h"
#include "study/statistics.h"

namespace ration::study {

// Of one way of merging at one size: means over merged models, each the mean of its corpora.
struct MergeSummary {
  std::string label, variant;
  std::int64_t size = 0;
  std::string members;        // hyper-parameters, as text
  double loss = 0;            // nats a token
  Estimate recovered;         // R
  std::int64_t merges = 0;    // models
  std::int64_t unusable = 0;  // cells whose loss is not finite; they are left out
};

// R of `method` minus R of `other`, paired by subset, replica and corpus.
struct MergeClaim {
  std::string variant;
  std::string statistic;  // "mean" over all sizes, or "slope" in the size
  std::string method, other;
  Estimate difference;
  double holm = 1;  // p, adjusted for all claims of the variant
};

std::vector<MergeSummary> merge_summaries(const MergeTable& table, const MergeOutcome& outcome);

// All methods against those of `table.against`; as chosen, and untuned.
std::vector<MergeClaim> merge_claims(const MergeTable& table, const MergeOutcome& outcome);

}  // namespace ration::study
