// A step of all runs, its inputs and results; losses without a step.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/device/runner.h"

namespace ration::train::device {

using kernels::BFloat16;

template <class T>
typename Runner<T>::Plan& Runner<T>::plan_for(std::int64_t sequences) {
  const auto found = plans_.find(sequences);
  if (found != plans_.end()) return found->second;
  const Share share = options_.group == nullptr ? Share{.first = 0, .count = sequences}
                                                : share_of(sequences, *options_.group);
  return plans_.emplace(sequences, make_plan(share, sequences)).first->second;
}

template <class T>
typename Runner<T>::Plan Runner<T>::make_plan(const Share& share, std::int64_t step_sequences) {
  Inputs inputs(specs_, share.count, max_rows_ / positions_);
  const at::TensorOptions bytes = at::TensorOptions(at::kByte).device(options_.device);
  return {.inputs = inputs,
          .step_sequences = step_sequences,
          .first = share.first,
          .on_device = at::zeros({inputs.bytes()}, bytes),
          .arriving = at::zeros({inputs.bytes()}, bytes),
          .on_host = {host_bytes(inputs.bytes(), options_.device),
                      host_bytes(inputs.bytes(), options_.device)},
          .courier = make_courier(options_.device),
          .gradients = nullptr,
          .update = nullptr};
}

// Copies what the steps read to the device.
template <class T>
void Runner<T>::bring(Plan& plan, std::span<const RunStep> steps) {
  const at::Tensor& host = plan.on_host[plan.submitted % 2];
  plan.courier->prepare();
  plan.inputs.fill(host, steps);
  plan.courier->submit(host, plan.arriving);
  plan.courier->wait();
  plan.on_device.copy_(plan.arriving, /*non_blocking=*/true);
  plan.courier->release();
  ++plan.submitted;
}

template <class T>
void Runner<T>::submit(std::span<const RunStep> steps) {
  if (!steps[0].batch->parts.empty()) return submit_parts(steps[0]);
  Plan& plan = plan_for(steps[0].batch->sequences());
  if (options_.group == nullptr) {
    bring(plan, steps);
  } else {
    const std::int64_t count = plan.inputs.sequences();
    const Batch own{steps[0].batch->inputs.narrow(0, plan.first, count),
                    steps[0].batch->targets.narrow(0, plan.first, count)};
    RunStep step = steps[0];
    step.batch = &own;
    bring(plan, {&step, 1});
  }
  const bool is_usual = plan.step_sequences == spec_.batch_sequences;
  const auto carry_out = [&](std::unique_ptr<Recording>& recording, bool& tried, const auto& body) {
    if (recording) {
      recording->replay();
    } else if (options_.record && is_usual && !tried) {
      recording = record(options_.device, body);
      tried = true;
    } else {
      body();
    }
  };
  if (options_.group == nullptr) {
    carry_out(plan.gradients, plan.gradients_tried, [&] { compute_gradients(plan), update(plan); });
  } else {
    carry_out(plan.gradients, plan.gradients_tried, [&] { compute_gradients(plan); });
    sum_over_processes();
    carry_out(plan.update, plan.update_tried, [&] { update(plan); });
  }
  parts_.emplace_back();
  receipts_.push_back(send_back(results_));
}

// Of gradients, and of the loss, the first number of the only run's result.
template <class T>
void Runner<T>::sum_over_processes() {
  options_.group->sum(grads_);
  options_.group->sum(results_.view(at::kDouble).narrow(0, 0, 1));
}

template <class T>
std::vector<StepResult> Runner<T>::take() {
  const std::unique_ptr<Receipt> receipt = std::move(receipts_.front());
  receipts_.pop_front();
  const auto* results = data<kernels::RunResult>(receipt->take());
  std::vector<StepResult> taken;
  for (std::int64_t k = 0; k < runs_; ++k)
    taken.push_back({.loss = results[k].loss,
                     .grad_norm = results[k].grad_norm,
                     .clip = results[k].clip,
                     .updated = results[k].updated != 0});
  taken[0].parts = std::move(parts_.front().results);
  taken[0].policy_seconds = parts_.front().policy_seconds;
  parts_.pop_front();
  return taken;
}

template <class T>
void Runner<T>::compute_gradients(Plan& plan) {
  grads_.zero_();
  results_.zero_();
  void* base = plan.on_device.data_ptr();
  const double per_token = 1.0 / static_cast<double>(plan.step_sequences * positions_);
  for (std::size_t p = 0; p < plan.inputs.pieces().size(); ++p) {
    const Piece& piece = plan.inputs.pieces()[p];
    const std::int64_t per_run = piece.count * positions_;
    const Place place{.rows = {.count = runs_ * per_run, .per_run = per_run},
                      .sequences = piece.count,
                      .first = plan.first + piece.first,
                      .tokens = plan.inputs.tokens(base, p),
                      .targets = plan.inputs.targets(base, p),
                      .order = plan.inputs.order(base, p),
                      .plan = spec_.dropout > 0 ? &plan : nullptr,
                      .weight = per_token};
    forward(place);
    classify(place);
    backward(place);
    launch(kernels::SumLosses{.rows = place.rows,
                              .weight = per_token,
                              .losses = data<double>(losses_),
                              .results = data<kernels::RunResult>(results_)});
  }
  clear_frozen_gradients();
}

template <class T>
void Runner<T>::clear_frozen_gradients() {
  const std::int64_t matrices = layout_.tuned().matrices, decayed = layout_.decayed();
  const std::int64_t vectors = layout_.tuned().vectors;
  if (matrices > 0) grads_.narrow(1, 0, matrices).zero_();
  if (vectors > decayed) grads_.narrow(1, decayed, vectors - decayed).zero_();
}

// Norm, decision, and AdamW.
template <class T>
void Runner<T>::update(Plan& plan) {
  void* base = plan.on_device.data_ptr();
  const std::int64_t parts = kernels::square_parts(layout_.size());
  launch(kernels::SquareSums<T>{.runs = runs_,
                                .size = layout_.size(),
                                .parts = parts,
                                .grads = data<Real>(grads_),
                                .sums_out = data<double>(square_sums_)});
  launch(kernels::Decide{.runs = runs_,
                         .parts = parts,
                         .beta1 = spec_.beta1,
                         .beta2 = spec_.beta2,
                         .controls = plan.inputs.controls(base),
                         .square_sums = data<double>(square_sums_),
                         .updates = data<std::int64_t>(updates_),
                         .results = data<kernels::RunResult>(results_),
                         .factors = data<kernels::RunFactors>(factors_)});
  launch(kernels::AdamW<T>{.runs = runs_,
                           .size = layout_.size(),
                           .decayed = layout_.decayed(),
                           .tuned_matrices = layout_.tuned().matrices,
                           .tuned_vectors = layout_.tuned().vectors,
                           .hidden_begin = layout_.hidden_begin(),
                           .hidden_end = layout_.hidden_end(),
                           .hidden_rate = rule_.hidden_rate,
                           .beta1 = spec_.beta1,
                           .beta2 = spec_.beta2,
                           .eps = spec_.adam_eps,
                           .factors = data<kernels::RunFactors>(factors_),
                           .grads = data<Real>(grads_),
                           .values = data<Real>(values_),
                           .first = data<Real>(first_),
                           .second = data<Real>(second_),
                           .copy = copy_.is_same(values_) ? nullptr : data<T>(copy_)});
}

// Calls take(losses [K, some rows], first row) until all rows were taken.
template <class T>
template <class Take>
void Runner<T>::evaluate(std::span<const TokenRows> rows, const Take& take) {
  const std::int64_t positions = rows[0].positions, at_once = max_rows_ / positions;
  for (std::int64_t first = 0; first < rows[0].sequences; first += at_once) {
    const std::int64_t count = std::min(at_once, rows[0].sequences - first);
    const std::int64_t per_run = count * positions;
    at::Tensor tokens = at::empty({2, runs_, per_run}, at::kLong);
    for (std::int64_t k = 0; k < runs_; ++k) {
      const TokenRows& of_run = rows[static_cast<std::size_t>(k)];
      auto* to = tokens.data_ptr<std::int64_t>() + k * per_run;
      std::copy_n(of_run.inputs + first * positions, per_run, to);
      std::copy_n(of_run.targets + first * positions, per_run, to + runs_ * per_run);
    }
    tokens = tokens.to(options_.device);
    const Place place{.rows = {.count = runs_ * per_run, .per_run = per_run},
                      .sequences = count,
                      .tokens = tokens.data_ptr<std::int64_t>(),
                      .targets = tokens.data_ptr<std::int64_t>() + runs_ * per_run};
    forward(place);
    classify(place);
    take(losses_.narrow(0, 0, place.rows.count).view({runs_, per_run}), first * positions);
  }
}

template <class T>
std::vector<double> Runner<T>::loss_sums(std::span<const TokenRows> rows) {
  std::vector<double> all(static_cast<std::size_t>(runs_));
  evaluate(rows, [&](const at::Tensor& losses, std::int64_t) {
    const at::Tensor sums = losses.sum(1).cpu();
    for (std::int64_t k = 0; k < runs_; ++k)
      all[static_cast<std::size_t>(k)] += sums.data_ptr<double>()[k];
  });
  return all;
}

template <class T>
at::Tensor Runner<T>::token_losses(std::span<const TokenRows> rows) {
  const std::int64_t sequences = rows[0].sequences, positions = rows[0].positions;
  at::Tensor all = at::empty({runs_, sequences * positions}, at::kDouble);
  evaluate(rows, [&](const at::Tensor& losses, std::int64_t first) {
    all.narrow(1, first, losses.size(1)).copy_(losses);
  });
  return all.view({runs_, sequences, positions});
}

template typename Runner<double>::Plan Runner<double>::make_plan(const Share&, std::int64_t);
template typename Runner<float>::Plan Runner<float>::make_plan(const Share&, std::int64_t);
template typename Runner<BFloat16>::Plan Runner<BFloat16>::make_plan(const Share&, std::int64_t);
template void Runner<double>::bring(Plan&, std::span<const RunStep>);
template void Runner<float>::bring(Plan&, std::span<const RunStep>);
template void Runner<BFloat16>::bring(Plan&, std::span<const RunStep>);
template void Runner<double>::compute_gradients(Plan&);
template void Runner<float>::compute_gradients(Plan&);
template void Runner<BFloat16>::compute_gradients(Plan&);
template void Runner<double>::update(Plan&);
template void Runner<float>::update(Plan&);
template void Runner<BFloat16>::update(Plan&);
template void Runner<double>::submit(std::span<const RunStep>);
template std::vector<StepResult> Runner<double>::take();
template std::vector<double> Runner<double>::loss_sums(std::span<const TokenRows>);
template at::Tensor Runner<double>::token_losses(std::span<const TokenRows>);
template void Runner<float>::submit(std::span<const RunStep>);
template std::vector<StepResult> Runner<float>::take();
template std::vector<double> Runner<float>::loss_sums(std::span<const TokenRows>);
template at::Tensor Runner<float>::token_losses(std::span<const TokenRows>);
template void Runner<BFloat16>::submit(std::span<const RunStep>);
template std::vector<StepResult> Runner<BFloat16>::take();
template std::vector<double> Runner<BFloat16>::loss_sums(std::span<const TokenRows>);
template at::Tensor Runner<BFloat16>::token_losses(std::span<const TokenRows>);

}  // namespace ration::train::device
