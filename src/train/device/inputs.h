#pragma once

// What one step of K runs reads, in one stretch of bytes, so that a single copy brings it to the
// device: tokens, their order for the embedding's gradient, dropout keys, learning rates.

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "run/spec.h"
#include "train/dropout.h"
#include "train/kernels/optimiser.h"
#include "train/step.h"

namespace ration::train::device {

// What a run does in one step. All runs have batches of the same shape.
struct RunStep {
  const Batch* batch = nullptr;
  double lr = 0;
  std::int64_t step = 0;  // 0-based; keys the dropout
  bool active = true;     // false: the run has ended, it keeps its weights
};

// Sequences of each run that are computed at once.
struct Piece {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

class Inputs {
 public:
  // Steps of `sequences` sequences a run, at most `micro_batch` at once.
  Inputs(std::vector<run::RunSpec> specs, std::int64_t sequences, std::int64_t micro_batch);

  std::int64_t bytes() const { return bytes_; }
  std::int64_t runs() const { return static_cast<std::int64_t>(specs_.size()); }
  std::int64_t sequences() const { return sequences_; }
  std::span<const Piece> pieces() const { return pieces_; }

  // Writes a step into `host` [bytes()]; one RunStep a run.
  void fill(const at::Tensor& host, std::span<const RunStep> steps) const;

  // Where the parts lie in a buffer that begins at `base`: tokens [K,count,T], rows of each run
  // sorted by token [K,count T], keys of a dropout site [K], controls [K].
  std::int64_t* tokens(void* base, std::size_t piece) const;
  std::int64_t* targets(void* base, std::size_t piece) const;
  std::int32_t* order(void* base, std::size_t piece) const;
  std::uint64_t* keys(void* base, std::int64_t layer, DropoutSite site) const;
  kernels::RunControl* controls(void* base) const;

 private:
  std::vector<run::RunSpec> specs_;
  std::int64_t sequences_, positions_;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> token_offsets_, target_offsets_,
      order_offsets_;  // bytes, of each piece
  std::int64_t keys_offset_ = 0, controls_offset_ = 0, bytes_ = 0;
};

}  // namespace ration::train::device
