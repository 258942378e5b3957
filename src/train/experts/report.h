#pragma once

// ration-train --experts: how the experts of a checkpoint are used on held-out text of the run's
// main data and of its auxiliary sources, as one JSON document (docs/formats.md, "Experts").
//
//   write_experts({.checkpoint = "store/runs/4c…", .output = "experts.json"}, world, say)

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/batches.h"
#include "train/model.h"
#include "train/score.h"

namespace ration::train::experts {

// Held-out windows of one source: 0 the main data, i the i-th source of spec.aux.
struct SourceText {
  std::string data;  // digest
  Windows windows;
};

// Of each layer with experts: entropy, mean weights, information about the source with its p-value,
// and what each source loses without each expert; of all together: what a source loses when it is
// routed as another. The model's experts must be routed at evaluation.
Json expert_report(const Model& model,
                   const run::RunSpec& spec,
                   const std::vector<SourceText>& sources);

// How experts are used on the first `sequences` windows.
struct RoutingSummary {
  std::size_t units = 0;               // routed in each layer; the rest takes all experts alike
  std::vector<double> entropies = {};  // mean of H(p) / ln E of each layer with experts; empty
                                       // where no units are routed, or one expert is all there is
};

// Nothing where no router chooses at evaluation.
std::optional<RoutingSummary> routing_summary(const Model& model,
                                              const run::RunSpec& spec,
                                              const Windows& windows,
                                              std::int64_t sequences);

// `data` is not read; the setting "sequences=N" says how many windows of each source are read, the
// first of its held-out text (256). Exits as score().
WorkerOutcome write_experts(const ScoreOptions& options,
                            Surroundings& world,
                            const std::function<void(const std::string&)>& say);

}  // namespace ration::train::experts
