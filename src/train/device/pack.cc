#include "train/device/pack.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "run/experts.h"
#include "train/device/backend.h"

namespace ration::train::device {

std::unique_ptr<Seat> Pack::sit(const run::RunSpec& spec,
                                Parameters& parameters,
                                AdamW& optimiser) {
  std::unique_lock lock(mutex_);
  const std::size_t index = members_.size();
  members_.push_back({.spec = spec, .parameters = &parameters, .optimiser = &optimiser});
  ++present_;
  start_if_complete();
  changed_.wait(lock, [&] { return started_; });
  if (failure_) std::rethrow_exception(failure_);
  if (way_ == Way::side_by_side) take_own_stream(options_.device);
  return std::make_unique<Seat>(*this, index);
}

void Pack::give_up() {
  const std::lock_guard lock(mutex_);
  --expected_;
  start_if_complete();
}

// The last to come sets up the device for all.
void Pack::start_if_complete() {
  if (started_ || members_.empty() || present_ < expected_) return;
  try {
    std::vector<run::RunSpec> specs;
    for (const Member& member : members_) specs.push_back(member.spec);
    if (way_ == Way::packed) {
      runs_.push_back(make_device_runs(specs, options_));
      if (specs.size() > 1) evaluator_ = make_device_runs({specs[0]}, options_);
    } else {
      for (const run::RunSpec& spec : specs) runs_.push_back(make_device_runs({spec}, options_));
    }
    for (std::size_t seat = 0; seat < members_.size(); ++seat)
      runs_of(seat).load(index_of(seat), *members_[seat].parameters, *members_[seat].optimiser);
    finish(options_.device);  // others go on from here on streams of their own
  } catch (...) {
    failure_ = std::current_exception();
  }
  started_ = true;
  changed_.notify_all();
}

DeviceRuns& Pack::runs_of(std::size_t seat) { return *runs_[way_ == Way::packed ? 0 : seat]; }
std::int64_t Pack::index_of(std::size_t seat) const {
  return way_ == Way::packed ? static_cast<std::int64_t>(seat) : 0;
}

void Pack::submit(std::size_t seat, const Batch& batch, const StepOptions& options) {
  if (way_ == Way::side_by_side) {  // nobody else touches these runs
    const RunStep step{.batch = &batch, .lr = options.lr, .step = options.step};
    runs_of(seat).submit({&step, 1});
    return;
  }
  std::unique_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  Member& member = members_[seat];
  member.batch = &batch;
  member.lr = options.lr;
  member.step = options.step;
  ++waiting_;
  const std::uint64_t round = round_;
  run_if_complete();
  changed_.wait(lock, [&] { return round_ != round; });
  if (failure_) std::rethrow_exception(failure_);
}

StepResult Pack::take(std::size_t seat) {
  if (way_ == Way::side_by_side) return runs_of(seat).take()[0];
  const std::lock_guard lock(mutex_);
  std::deque<StepResult>& results = members_[seat].results;
  while (results.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    collect_oldest();
  }
  const StepResult result = results.front();
  results.pop_front();
  return result;
}

// Whoever misses a result first brings those of the others, too.
void Pack::collect_oldest() {
  const std::vector<bool> takes_part = std::move(enqueued_.front());
  enqueued_.pop_front();
  try {
    const std::vector<StepResult> results = runs_[0]->take();
    for (std::size_t seat = 0; seat < members_.size(); ++seat)
      if (takes_part[seat]) members_[seat].results.push_back(results[seat]);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

// Whoever completes the round, by coming or by leaving, carries it out for all.
void Pack::run_if_complete() {
  if (!started_ || waiting_ == 0 || waiting_ < present_) return;
  try {
    run_round();
  } catch (...) {
    failure_ = std::current_exception();
  }
  waiting_ = 0;
  ++round_;
  changed_.notify_all();
}

// One step of all; of those with batches of another size (a last, short one) a second.
void Pack::run_round() {
  std::set<std::int64_t> sizes;
  for (const Member& member : members_)
    if (member.present) sizes.insert(member.batch->sequences());
  for (const std::int64_t size : sizes) {
    const Batch* any = nullptr;
    for (const Member& member : members_)
      if (member.present && member.batch->sequences() == size) any = member.batch;
    std::vector<RunStep> steps;
    std::vector<bool> active;
    for (const Member& member : members_) {
      const bool takes_part = member.present && member.batch->sequences() == size;
      steps.push_back({.batch = takes_part ? member.batch : any,
                       .lr = member.lr,
                       .step = member.step,
                       .active = takes_part});
      active.push_back(takes_part);
    }
    runs_[0]->submit(steps);
    enqueued_.push_back(std::move(active));
  }
}

// One run's kernels with this member's weights. Packed members call it with the mutex held.
DeviceRuns& Pack::evaluator_of(std::size_t seat) {
  if (way_ == Way::side_by_side) return runs_of(seat);
  if (!evaluator_) return *runs_[0];
  // The others have nothing to evaluate now: a set of kernels for one run does it.
  Member& member = members_[seat];
  runs_[0]->store(index_of(seat), *member.parameters, *member.optimiser);
  evaluator_->load(0, *member.parameters, *member.optimiser);
  return *evaluator_;
}

double Pack::loss_sum(std::size_t seat, const TokenRows& rows) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (way_ == Way::packed) lock.lock();
  return evaluator_of(seat).loss_sums({&rows, 1})[0];
}

void Pack::token_losses(std::size_t seat, const TokenRows& rows, std::span<double> out) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (way_ == Way::packed) lock.lock();
  const at::Tensor losses = evaluator_of(seat).token_losses({&rows, 1});
  std::copy_n(losses.const_data_ptr<double>(), losses.numel(), out.begin());
}

void Pack::store(std::size_t seat) {
  const std::lock_guard lock(mutex_);
  runs_of(seat).store(index_of(seat), *members_[seat].parameters, *members_[seat].optimiser);
}

void Pack::load(std::size_t seat) {
  const std::lock_guard lock(mutex_);
  runs_of(seat).load(index_of(seat), *members_[seat].parameters, *members_[seat].optimiser);
}

void Pack::leave(std::size_t seat) {
  const std::lock_guard lock(mutex_);
  members_[seat].present = false;
  members_[seat].batch = nullptr;
  --present_;
  run_if_complete();
}

// ---- a run's place
// -------------------------------------------------------------------------------

namespace {

// Evaluation of a model whose weights lie on the device.
class SeatPasses final : public Passes {
 public:
  explicit SeatPasses(Seat& seat) : seat_(seat) {}
  double add_gradients(const TokenRows&, const BatchPlace&, double) override {
    throw std::logic_error("gradients of a run on a device stay there");
  }
  double loss_sum(const TokenRows& rows) override { return seat_.loss_sum(rows); }
  void token_losses(const TokenRows& rows, std::span<double> out) override {
    seat_.token_losses(rows, out);
  }
  void show_inputs(const TokenRows&, const InputViewer&) override {
    throw std::logic_error("activations of a run on a device stay there");
  }
  void time_stages(StageClock*) override {}  // a device computes them as one
  void use(Products) override {}             // a device has its own
  void release() override {}                 // LibTorch's allocator keeps what it may use again

 private:
  Seat& seat_;
};

}  // namespace

bool needs_no_device(const run::RunFile& file) {
  const std::string& device = file.execution.device;
  return file.spec.precision != "bf16" &&
         (device == "cpu" || (device == "auto" && !is_on_gpu(file)));
}

bool is_on_gpu(const run::RunFile& file) {
  const std::string& device = file.execution.device;
  return device == "cuda" ||
         (device == "auto" && !run::has_experts(file.spec) && why_no_cuda().empty());
}

Computes computes_on(const run::RunFile& file) {
  if (!is_on_gpu(file)) return {};
  const std::string& precision = file.spec.precision;
  return {.device = at::Device(at::kCUDA, 0),
          .type = precision == "fp64"   ? at::kDouble
                  : precision == "fp32" ? at::kFloat
                                        : at::kBFloat16};
}

Result<DeviceOptions> options_of(const run::RunFile& file) {
  const run::Execution& execution = file.execution;
  if (std::optional<Error> no = run::check_device(file.spec, execution)) return std::move(*no);
  if (run::has_experts(file.spec))
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("router \"{}\" is computed by one run a process, and several "
                                     "are to share this one",
                                     file.spec.router),
                 .hint = "give each run a worker of its own"};
  const std::string missing = why_no_cuda();
  if (execution.device == "cuda" && !missing.empty())
    return Error{.kind = ErrorKind::resource,
                 .what = "device = \"cuda\", but " + missing,
                 .hint = "set device = \"auto\" to train on the processor where there is no GPU"};
  const bool cuda = is_on_gpu(file);
  if (cuda && execution.deterministic) use_deterministic_operators();
  return DeviceOptions{.device = cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU),
                       .micro_batch = execution.micro_batch_sequences,
                       .recompute = execution.recompute};
}

Result<Place> take_place(
    const run::RunFile& file, Pack* pack, Group& group, Model& model, AdamW& optimiser) {
  Place place;
  if (pack == nullptr && needs_no_device(file)) return place;
  Result<DeviceOptions> options = options_of(file);
  if (!options) return std::move(options).error();
  if (group.size() > 1) options->group = &group;
  if (pack == nullptr) {
    place.own = std::make_unique<Pack>(1, *options);
    pack = place.own.get();
  }
  place.seat = pack->sit(file.spec, model.parameters(), optimiser);
  place.device = options->device.str();
  model.evaluate_with(std::make_unique<SeatPasses>(*place.seat));
  return place;
}

}  // namespace ration::train::device
