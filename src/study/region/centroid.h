#pragma once

// Whether the centroid of models of other corpora is a better start for fine-tuning than what they
// began with: for each corpus the same text in the same order from each start.

#include <optional>
#include <string>
#include <vector>

#include "scheduler/sweep.h"
#include "study/region/findings.h"
#include "study/region/points.h"

namespace ration::study {

// What a fine-tuning may begin with.
struct TuneStart {
  std::string name;    // "base", "centroid", "best other" or "control"
  std::string corpus;  // that it is for
  std::string init;    // setting: "run:ID" or "file:PATH"
  std::string id;      // as RunSpec::init has it: "run:ID" or "sha256:HEX"
};

// The models that the centroid for `target` is made of: `replicas` of each other corpus.
std::vector<std::size_t> averaged(const RegionTable& table,
                                  const RegionModels& models,
                                  const std::string& target);

// Of some models the one with the lowest loss on the half of `target` to choose on.
std::size_t best_other(const RegionModels& models,
                       const std::vector<std::size_t>& some,
                       const std::string& target,
                       const RegionLosses& losses);

// The sweep of all fine-tunings, as JSON; each start of a corpus with the same seeds.
std::string centroid_sweep(const RegionTable& table,
                           const RegionModels& models,
                           const std::vector<TuneStart>& starts,
                           const std::string& name);

// One fine-tuning of that sweep.
struct Tuned {
  Model model;
  std::string start;  // TuneStart::name
  double loss = 0;    // on the half to report on
};

// Which start each run of the sweep had. ErrorKind::internal for a run of none of them.
Result<std::vector<Tuned>> tuned_of(const std::vector<Model>& runs,
                                    const std::vector<TuneStart>& starts);

// The points that give each its loss; "tuned/<run>".
run::PointList tuned_points(const RegionTable& table,
                            const std::vector<Tuned>& tuned,
                            const std::vector<HeldOut>& held_out);
void take_losses(std::vector<Tuned>& tuned, const RegionLosses& losses);

// By `tune` and budget: loss from the centroid minus loss from each other start, with Student's
// interval over seeds for each corpus, a nested bootstrap over corpora and seeds for all, and in
// how many corpora the interval lies below 0 (wins), covers it (ties), or lies above. p for all is
// Holm's, over settings and starts.
std::vector<Finding> centroid_findings(const RegionTable& table,
                                       const std::vector<std::string>& corpora,
                                       const std::vector<Tuned>& tuned);

// Columns corpus, start, tune, tokens, seed, run, loss.
DataTable centroid_table(const std::vector<Tuned>& tuned);

}  // namespace ration::study
