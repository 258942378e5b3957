#pragma once

// How often a model prefers the consistent choice, of all and of parts, with intervals.
//
// Of each group and prompt: the share of items whose consistent choice has the higher score, ties
// half. Of each corpus: the mean over its groups, weighted by their items, of each group's median
// over the prompts. Pooled: the share of all items under one prompt, another number than that.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/pairs/answer.h"
#include "eval/pairs/statistics.h"

namespace ration::eval {

struct Share {
  double value = 0;  // of 1
  Interval interval;
};

struct GroupAccuracy {
  std::size_t items = 0;
  std::vector<Share> prompts = {};  // Wilson's intervals
  double median = 0;                // over the prompts
};

struct CorpusAccuracy {
  std::string corpus;  // as in PairGroup
  std::size_t items = 0;
  std::size_t groups = 0;
  Share share;  // interval over documents
};

// Part of the items: `of` says by what they were divided.
struct PartAccuracy {
  std::string of, part;
  std::size_t items = 0;
  std::vector<Share> prompts = {};  // intervals over documents
};

struct ScoreSummary {
  Score score = Score::avg_pmi;
  bool skip_first = false;
  std::vector<std::vector<double>> credits = {};  // [item][place of the prompt]
  std::vector<GroupAccuracy> groups = {};         // as PairTask::groups
  std::vector<CorpusAccuracy> corpora = {};       // in the order of their first group
  std::vector<Share> pooled = {};                 // a prompt each; intervals over documents
  // copied (verbatim or not) and length (bytes of the inconsistent choice over the other's);
  // parts without items are left out.
  std::vector<PartAccuracy> parts = {};
  // Of items whose choices have different numbers of tokens, how often the longer one has the
  // higher score: a bias where it is far from the share of items whose consistent one is longer.
  std::vector<double> longer_wins = {};  // a prompt each
  double longer_is_consistent = 0;
};

ScoreSummary summarise(const PairTask& task,
                       const ItemSums& sums,
                       Score score,
                       bool skip_first,
                       const ClusterDraws& draws);

// The second checkpoint against the first, on the same items.
struct GroupDifference {
  double difference = 0;        // accuracy of the second less that of the first
  std::int64_t only_first = 0;  // items that it alone gets right, and the other one wrong: no ties
  std::int64_t only_second = 0;
  double p = 1;  // McNemar's exact test; of this group and prompt alone
};

struct Comparison {
  std::vector<Share> pooled;   // accuracy of the second less that of the first, a prompt each
  std::vector<Share> corpora;  // as ScoreSummary::corpora
  std::vector<std::vector<GroupDifference>> groups;  // [group][place of the prompt]
};

// Both of one task, score and prompts. Intervals resample documents, the same for both.
Comparison compare(const PairTask& task,
                   const ScoreSummary& first,
                   const ScoreSummary& second,
                   const ClusterDraws& draws);

}  // namespace ration::eval
