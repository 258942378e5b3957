#pragma once

// The forward and backward pass, and the step around them, for one type of activations: what
// runs.h promises. Formulas: docs/training.md.

#include <array>
#include <deque>
#include <map>

#include "train/device/attention.h"
#include "train/device/backend.h"
#include "train/device/layout.h"
#include "train/device/numbers.h"
#include "train/device/runs.h"
#include "train/width_rule.h"

namespace ration::train::device {

template <class T>
class Runner final : public DeviceRuns {
 public:
  Runner(std::vector<run::RunSpec> specs, const DeviceOptions& options);

  void load(std::int64_t run, const Parameters& parameters, AdamW& optimiser) override;
  void store(std::int64_t run, Parameters& parameters, AdamW& optimiser) override;
  void submit(std::span<const RunStep> steps) override;
  std::vector<StepResult> take() override;
  std::int64_t pending() const override { return static_cast<std::int64_t>(receipts_.size()); }
  std::vector<double> loss_sums(std::span<const TokenRows> rows) override;
  at::Tensor token_losses(std::span<const TokenRows> rows) override;
  at::Tensor gradient(std::int64_t run, const std::string& name) const override;
  std::int64_t bytes() const override { return bytes_; }

 private:
  using Real = kernels::Wide<T>;

  // A linear map of all runs: weights [K,out,in] as products read them, gradients in wide numbers.
  struct Matrix {
    at::Tensor weight, grad;
    const Real* bias = nullptr;  // of run 0
    Real* bias_grad = nullptr;
    bool exists() const { return weight.defined(); }
  };
  struct NormSlot {
    kernels::Norm<T> norm;
    Real* gain_grad = nullptr;
    Real* bias_grad = nullptr;
  };
  struct Layer {
    NormSlot norm1, norm2;
    Matrix qkv, out, up, down;  // `up` holds the gate in front, where there is one
    at::Tensor x;               // the residual stream before the layer
  };
  // What the forward pass of a layer leaves behind; one for all layers where they are recomputed.
  struct Work {
    at::Tensor stats1, normed1, projected, inverses;
    Attended attended;
    at::Tensor middle, stats2, normed2, before, hidden;
  };
  // Steps of one number of sequences: inputs on the device, and the step recorded for them.
  struct Plan {
    Inputs inputs;
    std::int64_t step_sequences = 0;  // of all processes; the inputs hold this one's, which begin …
    std::int64_t first = 0;           // … here
    at::Tensor on_device, arriving;
    at::Tensor on_host[2];
    std::unique_ptr<Courier> courier;
    std::unique_ptr<Recording> gradients, update;        // the two halves of a step
    bool gradients_tried = false, update_tried = false;  // to record them
    std::size_t submitted = 0;
  };

  // What a step's parts showed.
  struct Parts {
    std::vector<PartResult> results = {};
    double policy_seconds = 0;
  };

  // What a pass works on.
  struct Place {
    kernels::Rows rows;
    std::int64_t sequences = 0, first = 0;  // of each run
    const std::int64_t* tokens = nullptr;
    const std::int64_t* targets = nullptr;
    const std::int32_t* order = nullptr;
    const Plan* plan = nullptr;  // that dropout keys are taken from; none: no dropout
    double weight = 0;           // of a token's loss in the gradient
  };

  template <class Kernel>
  void launch(const Kernel& kernel) const {
    table_(kernel, stream_of(options_.device));
  }
  at::Tensor buffer(std::int64_t elements, at::ScalarType type);
  at::Tensor rows_buffer(std::int64_t columns, at::ScalarType type);
  at::Tensor of_rows(const at::Tensor& buffer, const kernels::Rows& rows) const;
  Matrix matrix(const std::string& name, bool with_gate = false);
  NormSlot norm(const std::string& name);
  kernels::Mask mask(const Place& place, std::size_t layer, DropoutSite site) const;
  std::int64_t first_element(const Place& place) const { return place.first * positions_ * width_; }

  Plan& plan_for(std::int64_t sequences);
  Plan make_plan(const Share& share, std::int64_t step_sequences);
  Plan& plan_of_part(std::int64_t first, std::int64_t count, std::int64_t step_sequences);
  void bring(Plan& plan, std::span<const RunStep> steps);
  void prepare_parts();
  void submit_parts(const RunStep& step);
  template <class Take>
  void evaluate(std::span<const TokenRows> rows, const Take& take);
  void compute_gradients(Plan& plan);
  void clear_frozen_gradients();
  void sum_over_processes();
  void update(Plan& plan);
  void forward(const Place& place);
  void forward_layer(std::size_t index, const Place& place, bool again);
  void classify(const Place& place);
  void scale_logits(const at::Tensor& rows) const;
  void backward(const Place& place);
  void backward_layer(std::size_t index, const Place& place);
  void add_norm(const Place& place,
                const NormSlot& slot,
                const at::Tensor& x,
                const Matrix* branch,
                const kernels::Mask& branch_mask,
                const at::Tensor& sum,
                const at::Tensor& out,
                const at::Tensor& stats);
  void norm_backward(const Place& place,
                     const NormSlot& slot,
                     const at::Tensor& x,
                     const at::Tensor& stats,
                     bool replace,
                     bool to_branch,
                     const kernels::Mask& branch_mask);
  void bias_backward(const Place& place, const Matrix& matrix, const at::Tensor& dy);
  void weight_backward(const Matrix& matrix, const at::Tensor& dy, const at::Tensor& x);
  void product(at::Tensor out, const at::Tensor& a, const at::Tensor& b) const;
  // Whether products of narrow numbers can be added to wide ones: LibTorch's can on a GPU.
  bool sums_in_wide() const {
    return options_.device.is_cuda() && scalar_type<T>() == at::kBFloat16;
  }
  AttentionShape attention_shape(const Place& place, std::size_t layer) const;
  kernels::Rotation<T> rotation(const Work& work) const;
  bool rotates(const Layer& layer) const;
  kernels::MlpRows<T> mlp(const Place& place, const Layer& layer) const;
  Work& work(std::size_t layer) { return work_[options_.recompute ? 0 : layer]; }

  std::vector<run::RunSpec> specs_;
  const run::RunSpec& spec_;
  DeviceOptions options_;
  Layout layout_;
  std::int64_t runs_, positions_, width_, hidden_, max_rows_;  // rows of a run in one piece
  WidthRule rule_;
  AttentionKind attention_;
  const kernels::Table<T>& table_;
  std::int64_t bytes_ = 0;

  at::Tensor values_, grads_, first_, second_;  // [K,size]
  at::Tensor copy_;                             // of the values in T; the values where T is wide
  at::Tensor updates_, results_, factors_, square_sums_;
  std::map<std::int64_t, Plan> plans_;                      // by sequences of a step
  std::map<std::array<std::int64_t, 3>, Plan> part_plans_;  // by place in a step, and its sequences
  at::Tensor total_;                                        // of the parts' gradients
  std::unique_ptr<RewardGradients> rewards_;
  std::deque<Parts> parts_;  // of the steps whose receipts wait
  std::deque<std::unique_ptr<Receipt>> receipts_;

  Matrix embedding_, positions_table_, head_;
  std::vector<Layer> layers_;
  NormSlot final_norm_;
  at::Tensor cosines_, sines_;
  std::vector<Work> work_;
  at::Tensor last_, final_stats_, final_normed_, logits_, losses_;
  std::int64_t chunk_ = 0;  // rows of each run whose logits exist at once
  at::Tensor branch_, dx_, dbranch_, dnormed_, dmixed_, dprojected_, dhidden_;
  at::Tensor gain_parts_, bias_parts_, weight_scratch_;
};

}  // namespace ration::train::device
