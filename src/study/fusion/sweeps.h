#pragma once

// The ordinary runs of an experiment with fusion, as sweeps: controls at equal tokens, and bases
// that are fine-tuned on each corpus.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/weights.h"
#include "study/fusion/study.h"

namespace ration::study {

// Prepared data that bases are measured on.
struct FusionCorpus {
  std::string name;  // of a seen one the contributor's id, else the last part of its path
  std::string data;  // absolute path
  bool seen = true;
  run::PointCorpus held_out = {};
};

// What the runs of an experiment have in common.
struct FusionGround {
  std::string name;                   // of the experiment; begins the names of its sweeps
  Json model = Json::object();        // settings of the model, where its base is a run's
  std::int64_t context = 0;           // of the model
  std::vector<FusionCorpus> corpora;  // of the contributors, in their order, then unseen ones
};

// A base as a run can begin with it.
struct FusionWeights {
  run::Weights weights;
  std::string file;  // where weights known by content lie

  std::string init() const;  // the setting: "file:PATH" or "run:ID"
};

// `tokens`, a multiple of `context`, in `parts` of whole sequences that differ by one at most and
// sum up to it; the earlier ones are larger.
std::vector<std::int64_t> shares(std::int64_t tokens, std::size_t parts, std::int64_t context);

// One round of all contributors that trains on `tokens` in all. ErrorKind::usage: less than a
// sequence for each.
Result<fuse::Config> one_shot(const fuse::Config& config,
                              std::int64_t tokens,
                              std::int64_t context);

// The order in which a sequential control visits the contributors.
std::vector<std::uint32_t> order_of_visits(std::size_t contributors, std::int64_t seed);

// Names of the blocks whose runs are a control's results.
std::string multitask_block(std::int64_t seed);
std::string sequential_block(std::int64_t seed, std::size_t visit);

// The sweep of the controls multitask and sequential; `tokens` by seed. Nothing where neither is
// wanted.
std::optional<Json> controls_sweep(const FusionStudy& study,
                                   const FusionGround& ground,
                                   const FusionWeights& start,
                                   const std::map<std::int64_t, std::int64_t>& tokens);

// Fine-tuning of a base on a corpus.
struct TuningJob {
  FusionWeights base;
  std::size_t corpus = 0;  // of FusionGround::corpora
  std::int64_t seed = 0;
  Measure measure = Measure::fine_tuned;  // or few_shot
};

// Jobs that are the same run have the same key: of a block and its row.
std::string block_of(const TuningJob& job);
std::string key_of(const std::string& block, const std::string& weights, std::int64_t seed);
std::string key_of(const TuningJob& job);

// Each distinct job once. At least one.
Json tuning_sweep(const FusionStudy& study,
                  const FusionGround& ground,
                  std::span<const TuningJob> jobs);

}  // namespace ration::study
