#pragma once

// ration-train --statistics: what merging by Fisher information or by RegMean needs to know of a
// checkpoint, measured on training text, as a safetensors file (docs/formats.md, "Statistics").
//
//   write_statistics({.statistic = Statistic::fisher, .of = {.data = …, .checkpoint = …, .output =
//   …}}, world, say)
//
// Always computed by the processor's passes, without dropout and z-loss; bf16 runs in fp32.

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "train/model.h"
#include "train/score.h"
#include "train/step.h"

namespace ration::train {

enum class Statistic { fisher, gram };
std::string_view name(Statistic statistic);
std::optional<Statistic> statistic_named(std::string_view name);

struct StatisticsOptions {
  Statistic statistic = Statistic::fisher;
  // As for scores; the setting "sequences=N" says of how many windows, 1 … 1e9, default 256.
  ScoreOptions of;
};

// Exits as score().
WorkerOutcome write_statistics(const StatisticsOptions& options,
                               Surroundings& world,
                               const std::function<void(const std::string&)>& say);

// One sequence, as a batch [1,T].
using Sequence = std::function<Batch(std::int64_t number)>;

// The diagonal of the empirical Fisher information: by tensor, the mean over `count` sequences of
// the square of the gradient of a sequence's ln p ("Merging Models with Fisher-Weighted Averaging",
// 2022), in double, in the shape of the tensor. The model's spec must have neither dropout nor
// z_loss, and tune = "all".
std::map<std::string, at::Tensor> fisher_information(Model& model,
                                                     std::int64_t count,
                                                     const Sequence& sequence);

// By "<weight>.gram", X'X [in,in] in double over all rows x of inputs of the linear map with that
// weight; an embedding is none, nor is a tied head.
std::map<std::string, at::Tensor> gram_matrices(const Model& model,
                                                std::int64_t count,
                                                const Sequence& sequence);

}  // namespace ration::train
