#pragma once

// From prepared data to tensors: the unique subset of a run, its windows in scheduled order, and
// the held-out windows. A window is T+1 consecutive tokens: T inputs, and the same shifted by one
// as targets.

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/schedule.h"
#include "data/shards.h"
#include "run/spec.h"
#include "train/step.h"

namespace ration::train {

// What routers of experts are told of windows beside their tokens (docs/experts.md).
struct Origin {
  std::int64_t source = 0;      // 0: the main data, i: the i-th source of aux
  std::int64_t sources = 1;     // of the run; with one nothing is told
  std::int64_t end_token = -1;  // of documents
  // Part of the windows whose source is drawn among all: a function of the seed and of the window's
  // place in its data, the same in every epoch.
  double noise = 0;
  std::uint64_t seed = 0;
  bool heldout = false;  // another draw than that of training windows

  std::int64_t told(std::uint32_t window) const;
};

// The windows of a contiguous token sequence: window w covers tokens [wT, wT+T].
class Windows {
 public:
  // Needs at least T+1 tokens for one window; a partial last window is dropped.
  Windows(std::vector<std::int32_t> tokens, std::int64_t context, Origin origin = {});

  std::int64_t count() const { return count_; }
  std::int64_t context() const { return context_; }  // tokens of a window
  Batch batch(std::span<const std::uint32_t> windows) const;

 private:
  std::vector<std::int32_t> tokens_;
  std::int64_t context_;
  std::int64_t count_;
  Origin origin_;
};

// The same of tokens as they lie in a pool's files, copied out when they are asked for.
class PoolWindows {
 public:
  PoolWindows(data::TokenPool pool, std::int64_t context)
      : pool_(std::move(pool)), context_(context) {}

  std::int64_t count() const;
  Batch batch(std::span<const std::uint32_t> windows) const;

 private:
  data::TokenPool pool_;
  std::int64_t context_;
};

// What a run trains on, in order.
class TrainingData {
 public:
  TrainingData(Windows windows, std::uint64_t seed, data::SchedulePosition position);

  std::int64_t windows() const { return windows_.count(); }
  data::SchedulePosition position() const { return schedule_.position(); }
  Batch next(std::int64_t sequences);

 private:
  Windows windows_;
  data::WindowSchedule schedule_;
};

// Tokens without data, [B,T+1] int64, for measurements: uniform over the vocabulary, a function of
// (seed, step).
at::Tensor drawn_tokens(const run::RunSpec& spec, std::int64_t step);
Batch drawn_batch(const run::RunSpec& spec, std::int64_t step);

// Windows that `tokens` training tokens take: the last one counts whole.
std::int64_t windows_for(std::int64_t tokens, std::int64_t context);

}  // namespace ration::train
