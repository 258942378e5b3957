#pragma once

// K runs of one shape on one device, trained side by side in every kernel: parameters are stacked
// [K,…], products batched, losses, norms and learning rates vectors [K]. With K = 1 it is how a
// single run trains on a GPU. Each run gets the numbers that it gets alone, up to the rounding of
// products, and one that diverges touches no other.
//
//   auto runs = make_device_runs({spec}, {.device = at::kCUDA});
//   runs->load(0, model.parameters(), optimiser);
//   runs->submit({&step, 1});                 // into the device's queue
//   const std::vector<StepResult> results = runs->take();
//
// Everything a step decides stays on the device, where the whole step is recorded once and replayed
// (backend.h). Throws what LibTorch throws. Not to be shared by threads.

#include <memory>
#include <span>
#include <vector>

#include "run/spec.h"
#include "train/adamw.h"
#include "train/device/inputs.h"
#include "train/parameters.h"
#include "train/step.h"

namespace ration::train::device {

struct DeviceOptions {
  at::Device device = at::kCPU;
  std::int64_t micro_batch = 0;      // sequences of each run computed at once; 0: all of a step
  bool recompute = false;            // activations of layers a second time instead of keeping them
  std::int64_t vocab_multiple = 64;  // rows of embedding and head are filled up to it
  bool fused_attention = true;       // where it exists; false: by products everywhere
  bool record = true;                // the step on a GPU
  Group* group = nullptr;            // of processes that share a single run's steps; none: this one
};

class DeviceRuns {
 public:
  virtual ~DeviceRuns() = default;

  // Weights, moments and count of updates of one run, from and to the processor's memory.
  virtual void load(std::int64_t run, const Parameters& parameters, AdamW& optimiser) = 0;
  virtual void store(std::int64_t run, Parameters& parameters, AdamW& optimiser) = 0;

  // One step of every run into the device's queue; returns before it is done.
  virtual void submit(std::span<const RunStep> steps) = 0;

  // Results of the oldest step that was not taken, one a run; waits for it.
  virtual std::vector<StepResult> take() = 0;
  virtual std::int64_t pending() const = 0;  // steps submitted and not taken

  // Sum of each run's losses on its rows [n,T], without dropout. All of the same shape.
  virtual std::vector<double> loss_sums(std::span<const TokenRows> rows) = 0;
  // The same of each target: [K,n,T] in double, on the processor. T may be less than the context.
  virtual at::Tensor token_losses(std::span<const TokenRows> rows) = 0;

  // Gradients of one tensor [rows,columns] of one run as the last step left them, for tests.
  virtual at::Tensor gradient(std::int64_t run, const std::string& name) const = 0;

  virtual std::int64_t bytes() const = 0;  // of weights, moments, gradients and activations
};

// Resolved specs that differ in nothing but what packable() allows.
std::unique_ptr<DeviceRuns> make_device_runs(std::vector<run::RunSpec> specs,
                                             const DeviceOptions& options);

// What keeps two runs from being trained side by side; empty when nothing does. They may differ in
// seeds, first weights, unique tokens, tokens seen, learning rate and its schedule, weight decay
// and clip, as long as they take the same number of steps.
std::string why_not_packable(const run::RunSpec& a, const run::RunSpec& b);

// Bytes that make_device_runs() will need, without the work space of LibTorch (docs/training.md).
std::int64_t predicted_bytes(const run::RunSpec& spec,
                             std::int64_t runs,
                             const DeviceOptions& options);

}  // namespace ration::train::device
