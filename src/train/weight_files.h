#pragma once

// Weights that exist before a run (run/weights.h): where they lie, and how they come into a model.
//
//   Result<WeightFile> weights = open_weights(files, own_folder, *run::parse_weights(spec.init),
//   ""); Result<void> done = copy_tensors(weights->tensors, parameters);
//
// Everything is verified before it is used: a checkpoint of a run by the digests in its meta.json,
// a file by the digest that it is known by. Errors are ErrorKind::input.

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>

#include "checkpoint/checkpoint.h"
#include "run/folder.h"
#include "run/weights.h"
#include "train/parameters.h"

namespace ration::train {

struct WeightFile {
  checkpoint::Checkpoint tensors;
  Json from;                        // for logs: run, attempt, step; or sha256, file
  std::optional<run::RunFile> run;  // whose they are; nothing of a file
};

// `own`: any run folder of the store that holds the other run. `file`: where weights known by their
// content lie; whatever Checkpoint::open takes.
Result<WeightFile> open_weights(Files& files,
                                const run::RunFolder& own,
                                const run::Weights& weights,
                                const Path& file);

// Every tensor that is missing, too many, of another shape or no floating-point numbers, in one
// error.
Result<void> check_tensors(std::span<const checkpoint::TensorInfo> tensors,
                           const Parameters& parameters);

// Copies a tensor's bytes, converted by rounding to nearest even, into one of its shape.
void copy_tensor(const checkpoint::TensorInfo& info,
                 std::span<const std::byte> bytes,
                 const at::Tensor& to);

// All of them. Nothing is changed unless all fit and are finite numbers.
Result<void> copy_tensors(const checkpoint::Checkpoint& tensors, Parameters& parameters);

}  // namespace ration::train
