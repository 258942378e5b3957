#pragma once

// The table [merge] of a sweep file: which of its runs are merged, how, and what is asked of it.
//
//   [merge]
//   base = "base"                    # names of [[block]]s of the file …
//   models = ["tuned"]
//   multitask = "multitask"
//   [[merge.method]]
//   name = "ties"
//   k = [0.1, 0.2]
//
//   [merge]
//   base = "file:base"               # … or weights that exist, each with the text that it was
//   models = ["run:ID", "file:PATH"] # trained on
//   corpora = ["data/prose", "data/code"]

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "study/merge/method.h"

namespace ration::study {

struct MergeTable {
  std::string base;                    // a block, or weights
  std::vector<std::string> models;     // blocks, or weights
  std::vector<std::string> multitask;  // blocks of runs trained on several corpora at once
  std::vector<std::string> corpora;    // of weights: folder of prepared data, one a model
  Json settings = Json::object();      // of weights that are all files: those of their model
  std::vector<MergeMethod> methods;
  std::vector<std::string> against;  // labels that all others are compared with
  std::vector<std::int64_t> sizes;   // T, models merged at once; empty = 2 … all
  std::int64_t subsets = 10;         // of each size, drawn at random; all where there are fewer
  std::uint64_t seed = 0;            // of the subsets and the bootstrap
  std::int64_t windows = 32;         // held-out windows of each half; 0 = all
  // Nats a token that a model's own training must have won on its corpus; others are left out,
  // because a share of nothing means nothing.
  double min_gain = 0.05;
  std::int64_t draws = 2000;  // of the bootstrap
  bool mechanism = true;      // conflicts of signs, resets, flips and ablations, too

  bool of_weights() const;  // the models are weights, not blocks
};

// Everything that is wrong at once, by key; ErrorKind::usage.
Result<MergeTable> read_merge_table(const Json& table, const std::string& file);

}  // namespace ration::study
