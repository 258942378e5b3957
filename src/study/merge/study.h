#pragma once

// A study of merging from models to numbers: subsets of the models are merged by every method, the
// methods choose their hyper-parameters on one half of the held-out windows, and are reported on
// the other.
//
//   Result<MergeOutcome> outcome = carry_out_merges(table, models, evaluate);
//   for (const MergeArm& arm : outcome->arms) …arm.recovered[i] in outcome->cells[i]…

#include <cstdint>
#include <string>
#include <vector>

#include "study/merge/files.h"
#include "study/merge/floor.h"
#include "study/merge/soups.h"
#include "study/merge/subsets.h"
#include "study/merge/table.h"

namespace ration::study {

// A merged model is evaluated on each corpus of its subset: that is a cell.
struct MergeCell {
  std::size_t subset = 0, replica = 0, corpus = 0;
};

// Losses of one way of merging, in all cells.
struct MergeArm {
  std::string label;          // of the method, "multitask"
  std::string variant;        // "trial", "chosen", "untuned", "no trim", …
  std::vector<Json> members;  // hyper-parameters for each of MergeOutcome::sizes; of one trial: one
  std::vector<MergeLosses::Loss> losses;  // NaN where there is none
  std::vector<double> recovered;          // R; NaN where there is none
};

// What a method chose for a size, by the mean of R over all cells of that size.
struct MergeChoice {
  std::string label;
  std::int64_t size = 0;
  Json members;
  double recovered = 0;  // on the half that chose
  std::size_t trials = 0;
};

struct MergeOutcome {
  MergeFloor floor;
  std::vector<std::size_t> kept, left_out;  // corpora
  std::vector<std::int64_t> sizes;
  std::vector<MergeSubset> subsets;
  std::vector<MergeCell> cells;
  std::vector<MergeArm> trials;  // on the half that chooses
  std::vector<MergeChoice> choices;
  MergeSoups soups;            // empty without that method
  std::vector<MergeArm> arms;  // on the half that reports

  const MergeArm* arm(const std::string& label, const std::string& variant) const;
};

// Errors: those of `evaluate`; ErrorKind::untrusted where fewer than two corpora have gained
// enough. `merge_to_file` makes the models of methods that need statistics.
Result<MergeOutcome> carry_out_merges(const MergeTable& table,
                                      const MergeModels& models,
                                      const MergeEvaluate& evaluate,
                                      const MergeToFile& merge_to_file = {});

}  // namespace ration::study
