#pragma once

// Forward and backward pass written out, on the kernels of train/cpu: what training and evaluation
// run. It computes what Model::logits defines, without a graph, in memory that is allocated once,
// and a few sequences at a time, so that activations stay in the cache: for models of width 16 to
// 64 two to three times as fast as operators one by one (docs/training.md).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "run/spec.h"
#include "train/dropout.h"
#include "train/linear.h"
#include "train/parameters.h"
#include "train/stages.h"

namespace ration::train {

// Token ids of B sequences of T positions each, [B,T] row-major.
struct TokenRows {
  const std::int64_t* inputs = nullptr;
  const std::int64_t* targets = nullptr;
  std::int64_t sequences = 0;
  std::int64_t positions = 0;
  // What routers may read beside the tokens (docs/experts.md).
  const std::int64_t* sources = nullptr;  // [B], 0: the main data, i: the i-th of aux; null: all 0
  std::int64_t end_token = -1;            // the last token of each document; -1: none is known
};

class Passes {
 public:
  virtual ~Passes() = default;

  // Adds to the gradients those of weight * (sum of losses + z_loss * sum of logsumexp^2), with
  // dropout. Returns the sum of losses in nats.
  virtual double add_gradients(const TokenRows& rows, const BatchPlace& place, double weight) = 0;

  // Sum of losses without dropout.
  virtual double loss_sum(const TokenRows& rows) = 0;
  // The same, each target's by itself: `out` [B,T], nats.
  virtual void token_losses(const TokenRows& rows, std::span<double> out) = 0;

  // The forward pass without dropout, shown what each linear map reads: x [rows,in] by the name of
  // the map's weight, some rows at a time; a tied head is not shown. On the processor alone.
  using InputViewer = std::function<void(std::string_view weight, const at::Tensor& x)>;
  virtual void show_inputs(const TokenRows& rows, const InputViewer& see) = 0;

  // From now on says to `stages` where the time goes; null ends that.
  virtual void time_stages(StageClock* stages) = 0;

  // Takes these products from now on; at first those of usual_products().
  virtual void use(Products products) = 0;

  // Gives back the memory of activations, after it ran out; the next call takes what it needs.
  virtual void release() = 0;
};

// `parameters` must outlive the result and keep its buffers. Not to be shared by threads.
std::unique_ptr<Passes> make_passes(const run::RunSpec& spec, Parameters& parameters);

}  // namespace ration::train
