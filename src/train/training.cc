#include "train/training.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fault.h"
#include "base/process.h"
#include "base/text.h"
#include "run/steps.h"
#include "train/cpu/product.h"
#include "train/device/backend.h"
#include "train/experts/report.h"
#include "train/memory.h"
#include "train/peak.h"
#include "train/stopwatch.h"

namespace ration::train {
namespace {

constexpr std::int64_t kAlwaysLogged = 10;  // first steps of a run
constexpr double kShownEvery = 0.2;         // s between two live lines
constexpr std::size_t kAhead = 2;           // steps under way at most, where a device takes them
constexpr double kPeakWorthIts = 5;         // s of training after which measuring the peak is cheap

// on_spike = "rewind"
constexpr std::int64_t kOffending = 8;     // steps left out, the last of which is the spike
constexpr std::int64_t kMostRewinds = 10;  // a run that needs more has another illness

// Distance of the checkpoints that a rewind goes back to. It follows from the spec, as where a run
// goes back to decides its numbers: often enough to lose little, and before the first steps that a
// spike can leave out, 121 to 129.
std::int64_t rewind_distance(std::int64_t steps) {
  return std::clamp<std::int64_t>(steps / 100, 16, 96);
}

at::ScalarType dtype_of(const run::RunSpec& spec) {
  return spec.precision == "fp64" ? at::kDouble : at::kFloat;
}

}  // namespace

Training::Training(Surroundings& world,
                   Assignment assignment,
                   Windows train,
                   Windows val,
                   std::vector<Windows> auxiliary)
    : world_(world),
      run_(std::move(assignment)),
      spec_(run_.file.spec),
      alone_(run_.group == nullptr ? alone() : nullptr),
      group_(run_.group == nullptr ? *alone_ : *run_.group),
      total_windows_(run::sequences_of(spec_)),
      steps_(run::steps_of(spec_)),
      model_(spec_, dtype_of(spec_)),
      optimiser_(spec_, model_.parameters()),
      rate_(learning_rate(spec_, steps_)),
      heldout_(val),
      val_tokens_(val.count() * spec_.context),
      train_windows_(std::move(train)),
      auxiliary_(spec_, std::move(auxiliary)),
      checkpoints_(world.files, run_.folder, run_.file.id),
      keep_{.multiple = spec_.on_spike == "rewind" ? rewind_distance(steps_) : 0,
            .steps = run::kept_steps(run_.file.execution.keep_steps)} {
  if (run::reads_gradients(spec_))
    rewards_ = std::make_unique<RewardGradients>(spec_, reward_regions(spec_, model_.parameters()));
}

std::int64_t Training::tokens_of(std::int64_t windows) const {
  return std::min(windows * spec_.context, spec_.tokens);
}

// Of the target's unique tokens, which a mixture sees in a part of its tokens.
double Training::epoch_of(std::int64_t tokens) const {
  const std::int64_t other =
      auxiliary_.none() ? 0 : auxiliary_.sequences(windows_for(tokens, spec_.context));
  return static_cast<double>(tokens - other * spec_.context) /
         static_cast<double>(data_->windows() * spec_.context);
}

run::Event Training::event(run::EventType type, Json values) const {
  const std::int64_t tokens = tokens_seen();
  return {.type = type,
          .t = world_.clock.unix_seconds(),
          .step = progress_.step,
          .tokens = tokens,
          .epoch = epoch_of(tokens),
          .values = std::move(values)};
}

Result<void> Training::emit(run::EventType type, Json values, bool durable) {
  if (!group_.leads()) return {};
  return log_->write(event(type, std::move(values)), durable);
}

// Others of the group lose their leader when it leaves, and end by that.
Result<bool> Training::fenced() {
  return group_.leads() ? run_.folder.fenced(run_.attempt) : Result<bool>(false);
}

bool Training::is_left_out(std::int64_t step) const {
  return std::any_of(
      progress_.left_out.begin(), progress_.left_out.end(), [&](const StepRange& range) {
        return step > range.begin && step <= range.end;
      });
}

// Back to the last checkpoint that the spec places before the steps to be left out; false when
// there have been too many of these already.
Result<bool> Training::rewind(const StepResult& result) {
  if (progress_.rewinds >= kMostRewinds) return false;
  const std::int64_t spike = progress_.step;
  const std::int64_t distance = rewind_distance(steps_);
  const StepRange offending{.begin = std::max<std::int64_t>(0, spike - kOffending), .end = spike};
  const std::int64_t target = offending.begin / distance * distance;
  const std::int64_t rewinds = progress_.rewinds + 1, micro_batch = progress_.micro_batch;
  std::vector<StepRange> left_out = progress_.left_out;
  left_out.push_back(offending);

  int from_attempt = 0;
  if (group_.leads()) {
    Result<FoundCheckpoint> from =
        checkpoints_.load_step(run_.attempt, target, model_.parameters(), optimiser_);
    if (!from) return std::move(from).error();
    if (Result<void> done = checkpoints_.forget_after(run_.attempt, target); !done)
      return std::move(done).error();
    if (Result<void> done = go_on_from(from->progress); !done) return std::move(done).error();
    give_to_others(from->progress);
    from_attempt = from->attempt;
  } else if (Result<void> done = take_from_leader(); !done) {
    return std::move(done).error();
  }
  if (place_) place_.seat->load();
  progress_.rewinds = rewinds;
  progress_.left_out = std::move(left_out);
  progress_.micro_batch = micro_batch;
  if (micro_batch > 0) micro_batch_ = micro_batch;
  if (Result<void> done = emit(run::EventType::resume,
                               {{"from_attempt", from_attempt},
                                {"from_step", target},
                                {"reason", "spike"},
                                {"spike_step", spike},
                                {"spike_loss", result.loss},
                                {"left_out_from", offending.begin + 1}},
                               true);
      !done)
    return std::move(done).error();
  return true;
}

// A device is given the next step before the last one's result is looked at, so that it never waits
// for us; not where what follows needs the state between the two. Processes that share a run must
// come to the same decisions in the same order, and a rewind leaves no step begun behind it.
bool Training::may_begin() const {
  if (under_way_.empty()) return true;
  return place_ && group_.size() == 1 && spec_.on_spike != "rewind" && !auxiliary_.learns() &&
         !holding_ && under_way_.size() < kAhead && !under_way_.back().is_last;
}

Result<void> Training::begin_step() {
  if (under_way_.empty()) begun_windows_ = progress_.windows;
  const std::int64_t sequences = std::min(spec_.batch_sequences, total_windows_ - begun_windows_);
  const std::int64_t number = progress_.step + static_cast<std::int64_t>(under_way_.size());
  const std::int64_t before = tokens_of(begun_windows_);
  const std::int64_t other = auxiliary_.none() ? 0
                                               : auxiliary_.sequences(begun_windows_ + sequences) -
                                                     auxiliary_.sequences(begun_windows_);
  begun_windows_ += sequences;
  const std::int64_t after = tokens_of(begun_windows_);
  std::optional<Batch> batch = auxiliary_.with(data_->next(sequences - other), other);
  if (!batch)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("all auxiliary sources are at their max_epochs in step {}", number + 1),
        .hint = "raise max_epochs or lower aux_share"};
  under_way_.push_back({.batch = std::move(*batch),
                        .number = number,
                        .tokens_before = before,
                        .left_out = is_left_out(number + 1),
                        .is_last = number + 1 == steps_ || must_checkpoint(number + 1) ||
                                   must_evaluate(before, after)});
  if (!auxiliary_.none() && !auxiliary_.learns() && is_logged(number + 1))
    under_way_.back().mixture = auxiliary_.log();
  holding_ = false;
  return under_way_.back().left_out ? Result<void>() : compute(under_way_.back());
}

// Computes the step, or gives it to the device; when memory runs out for the first time, once more
// in micro-batches of half the size.
Result<void> Training::compute(UnderWay& step) {
  while (true) {
    const StepOptions options{.lr = rate_.at(step.number),
                              .clip = spec_.clip,
                              .micro_batch = micro_batch_,
                              .step = step.number,
                              .group = &group_,
                              .rewards = rewards_.get()};
    try {
      if (world_.before_step) world_.before_step(micro_batch_);
      if (place_)
        place_.seat->submit(step.batch, options);
      else
        step.result = train_step(model_, optimiser_, step.batch, options);
      return {};
    } catch (const std::exception& e) {  // nothing has been changed: the optimiser comes last
      const bool shared = place_ && !place_.own;
      if (!is_out_of_memory(e) || shared || !halve_micro_batch(step.batch.sequences())) throw;
    }
    for (UnderWay& earlier : under_way_)  // before their place is given up
      if (&earlier != &step && !earlier.left_out && !earlier.result && place_)
        earlier.result = place_.seat->take();
    if (Result<void> done = say_halved(); !done) return done;
    if (!place_) {
      model_.passes().release();
    } else {
      place_.seat->store();
      if (Result<void> done = sit_down(); !done) return done;
    }
  }
}

// Gradients of the initial weights, for a policy that begins with them. A device's step ends in an
// update; what that did is undone by loading the weights and moments once more.
Result<void> Training::learn_before_first_step() {
  if (progress_.step > 0 || progress_.windows > 0) return {};
  const std::optional<Batch> batch = auxiliary_.before_first_step(train_windows_);
  if (!batch) return {};
  const StepOptions options{
      .micro_batch = micro_batch_, .group = &group_, .rewards = rewards_.get(), .only_look = true};
  const double began = world_.clock.monotonic_seconds();
  if (place_) {
    place_.seat->submit(*batch, options);
    auxiliary_.begin_with(place_.seat->take());
    place_.seat->load();
  } else {
    auxiliary_.begin_with(train_step(model_, optimiser_, *batch, options));
  }
  const double seconds = world_.clock.monotonic_seconds() - began;
  policy_time_ = {.policy = seconds, .training = seconds};
  return {};
}

// False where that was done before or cannot be done.
bool Training::halve_micro_batch(std::int64_t sequences) {
  const std::int64_t own = share_of(sequences, group_).count;
  const std::int64_t at_once = micro_batch_ > 0 ? std::min(micro_batch_, own) : own;
  const bool together = spec_.router_balance > 0;  // its loss is of all sequences of a step
  if (progress_.micro_batch > 0 || at_once < 2 || together) return false;
  micro_batch_ = progress_.micro_batch = (at_once + 1) / 2;
  return true;
}

Result<void> Training::say_halved() {
  return emit(run::EventType::skip,
              {{"reason", "out of memory"}, {"micro_batch_sequences", micro_batch_}},
              true);
}

// Takes a place on the device, with what was resumed, where the run asks for one.
Result<void> Training::sit_down() {
  while (true) {
    place_.seat.reset();  // before the pack that it sits in
    place_ = {};
    run_.file.execution.micro_batch_sequences = micro_batch_;
    try {
      Result<device::Place> place =
          device::take_place(run_.file, run_.pack, group_, model_, optimiser_);
      if (!place) return std::move(place).error();
      place_ = std::move(*place);
      return {};
    } catch (const std::exception& e) {
      if (!is_out_of_memory(e) || run_.pack != nullptr || !halve_micro_batch(spec_.batch_sequences))
        throw;
    }
    if (Result<void> done = say_halved(); !done) return done;
  }
}

// The result of the oldest step under way, accounted for.
StepResult Training::end_step() {
  UnderWay& step = under_way_.front();
  StepResult result;
  if (step.result)
    result = *step.result;
  else if (!step.left_out)
    result = place_.seat->take();
  ++progress_.step;
  progress_.windows += step.batch.sequences();
  {
    const Stopwatch watch(policy_time_.policy);
    auxiliary_.end_step(step.batch, result);
  }
  policy_time_.policy += result.policy_seconds;
  mixture_log_ =
      auxiliary_.learns() && is_logged(progress_.step) ? auxiliary_.log() : std::move(step.mixture);
  if (!result.updated) return result;
  ++progress_.updates;
  progress_.logged_loss += result.loss;
  ++progress_.logged_steps;
  if (result.clip < 1) ++progress_.clipped;
  return result;
}

Result<double> Training::evaluate() {
  const double started = world_.clock.monotonic_seconds();
  const double loss = heldout_.loss(model_, group_);
  if (std::isfinite(loss) && (progress_.best_step < 0 || loss < progress_.best_loss)) {
    progress_.best_loss = loss;
    progress_.best_step = progress_.step;
  }
  const double seconds = world_.clock.monotonic_seconds() - started;
  paused_seconds_ += seconds;
  Json values = {{"loss", loss}, {"val_tokens", val_tokens_}, {"seconds", seconds}};
  constexpr std::int64_t kRoutedSequences = 8;  // whose routing shows whether experts are used
  if (const auto routed =
          experts::routing_summary(model_, spec_, heldout_.windows(), kRoutedSequences)) {
    values["routed_units"] = routed->units;
    if (!routed->entropies.empty()) values["expert_entropy"] = routed->entropies;
  }
  if (Result<void> done = emit(run::EventType::val, std::move(values)); !done)
    return std::move(done).error();
  return loss;
}

Result<std::string> Training::checkpoint() {
  const double started = world_.clock.monotonic_seconds();
  if (!group_.leads()) {
    last_checkpoint_ = started;
    return std::string();
  }
  if (place_) place_.seat->store();
  const data::SchedulePosition position = data_->position();
  Json progress = {{"run", to_json(progress_)},
                   {"guard", guard_.to_json()},
                   {"products", name(products_.products)},
                   {"epoch", position.epoch},
                   {"index", position.index}};
  if (!auxiliary_.none()) progress["auxiliary"] = auxiliary_.state();
  if (auxiliary_.learns()) progress["policy_time"] = policy_time_.to_json();
  Result<Path> path = checkpoints_.save(
      run_.attempt, progress_.step, model_.parameters(), optimiser_, progress, keep_);
  if (!path) return std::move(path).error();
  last_checkpoint_ = world_.clock.monotonic_seconds();
  paused_seconds_ += last_checkpoint_ - started;
  const std::string name = path->filename().string();
  if (Result<void> done = emit(run::EventType::checkpoint,
                               {{"path", name}, {"seconds", last_checkpoint_ - started}},
                               true);
      !done)
    return std::move(done).error();
  return name;
}

Result<run::WorkerExit> Training::stop(std::string_view reason, run::WorkerExit exit) {
  if (Result<void> done = emit(run::EventType::stop, {{"reason", reason}}, true); !done)
    return std::move(done).error();
  return exit;
}

Result<void> Training::log_train(const StepResult& result) {
  progress_.last_train_loss = progress_.logged_loss / static_cast<double>(std::max<std::int64_t>(
                                                          1, progress_.logged_steps));
  Json values = {{"loss", progress_.logged_steps > 0 ? progress_.last_train_loss : result.loss},
                 {"lr", rate_.at(progress_.step - 1)},
                 {"grad_norm", result.grad_norm},
                 {"clip", result.clip},
                 {"clipped", progress_.clipped},
                 {"mem_bytes", peak_memory_bytes()}};
  const device::Computes computes = device::computes_on(run_.file);
  if (const std::int64_t bytes = device::peak_device_bytes(computes.device); bytes > 0)
    values["device_mem_bytes"] = bytes;
  if (training_seconds_ > 0)
    values["tok_s"] = static_cast<double>(training_tokens_) / training_seconds_;
  if (const std::optional<double> share = mfu()) values["mfu"] = *share;
  if (!mixture_log_.is_null()) values["mixture"] = mixture_log_;
  progress_.logged_loss = 0;
  progress_.logged_steps = 0;
  progress_.clipped = 0;
  return emit(run::EventType::train, std::move(values));
}

// The share of what the processor can do at best. Measuring that takes a fifth of a second, which a
// run of a few seconds should not pay: it does without.
std::optional<double> Training::mfu() const {
  if (training_seconds_ < kPeakWorthIts) return std::nullopt;
  const double per_token = run::flops_per_token(spec_, run::FlopConvention::exact).value;
  const device::Computes computes = device::computes_on(run_.file);
  return per_token * static_cast<double>(training_tokens_) / training_seconds_ /
         (peak_flops_per_second(computes.device, computes.type) * group_.size());
}

void Training::show(const StepResult& result) {
  if (!world_.show_line || training_seconds_ <= 0) return;
  const double now = world_.clock.monotonic_seconds();
  if (last_shown_ >= 0 && now - last_shown_ < kShownEvery && progress_.step < steps_) return;
  last_shown_ = now;
  const double speed = static_cast<double>(training_tokens_) / training_seconds_;
  const std::int64_t tokens = tokens_seen();
  const std::optional<double> share = mfu();
  world_.show_line(
      fmt::format("step {}/{}  {}  epoch {:.2f}  loss {:.4f}  {}/s{}  left {}",
                  progress_.step,
                  steps_,
                  format_quantity(static_cast<double>(tokens), "tok"),
                  epoch_of(tokens),
                  result.loss,
                  format_quantity(speed, "tok"),
                  share ? fmt::format("  MFU {:.0f} %", 100 * *share) : "",
                  format_duration(static_cast<double>(spec_.tokens - tokens) / speed)));
}

bool Training::is_logged(std::int64_t step) const {
  return step == steps_ || step <= kAlwaysLogged || step % run_.file.execution.log_every_steps == 0;
}

// Steps whose checkpoint somebody will come back to.
bool Training::must_checkpoint(std::int64_t step) const {
  return (keep_.multiple > 0 && step % keep_.multiple == 0) ||
         std::find(keep_.steps.begin(), keep_.steps.end(), step) != keep_.steps.end();
}

bool Training::ends_epoch(std::int64_t tokens_before, std::int64_t tokens) const {
  return std::floor(epoch_of(tokens)) > std::floor(epoch_of(tokens_before));
}

bool Training::must_evaluate(std::int64_t tokens_before, std::int64_t tokens) const {
  const std::int64_t per_decade = run_.file.execution.evals_per_decade;
  return per_decade > 0 &&
         (ends_epoch(tokens_before, tokens) || crosses_grid(tokens_before, tokens, per_decade));
}

// What follows an optimiser step: events, evaluation, checkpoint, or the end of the attempt.
Result<std::optional<run::WorkerExit>> Training::after_step(const UnderWay& step,
                                                            const StepResult& result,
                                                            Guard::Verdict verdict) {
  using Ended = std::optional<run::WorkerExit>;
  const auto ended = [](Result<run::WorkerExit> exit) -> Result<Ended> {
    if (!exit) return std::move(exit).error();
    return Ended(*exit);
  };
  const std::int64_t tokens = tokens_seen();
  const bool last = progress_.step == steps_;
  const bool due = !step.left_out && is_logged(progress_.step);
  const bool new_epoch = ends_epoch(step.tokens_before, tokens);
  const bool evaluates = !last && must_evaluate(step.tokens_before, tokens);
  if (due || new_epoch || evaluates || step.left_out || verdict != Guard::Verdict::fine) {
    Result<bool> overtaken = fenced();  // it must not write any more
    if (!overtaken) return std::move(overtaken).error();
    if (*overtaken) return Ended(run::WorkerExit::fenced);
  }
  if (step.left_out)
    if (Result<void> done = emit(run::EventType::skip, {{"reason", "left out by a rewind"}}); !done)
      return std::move(done).error();
  if (verdict == Guard::Verdict::skip || verdict == Guard::Verdict::diverged) {
    const Json values = {{"loss", result.loss},
                         {"grad_norm", result.grad_norm},
                         {"reason", "loss or gradient is not finite"}};
    if (Result<void> done = emit(run::EventType::skip, values); !done)
      return std::move(done).error();
    if (verdict == Guard::Verdict::diverged) return ended(finish("diverged"));
  }
  if (verdict == Guard::Verdict::spike) {
    if (Result<void> done =
            emit(run::EventType::spike, {{"loss", result.loss}, {"grad_norm", result.grad_norm}});
        !done)
      return std::move(done).error();
    if (spec_.on_spike == "rewind") {
      Result<bool> rewound = rewind(result);
      if (!rewound) return std::move(rewound).error();
      if (*rewound) return Ended();
    }
  }

  show(result);
  if (due)
    if (Result<void> done = log_train(result); !done) return std::move(done).error();
  if (new_epoch)
    if (Result<void> done = emit(run::EventType::epoch); !done) return std::move(done).error();
  if (evaluates)
    if (Result<double> loss = evaluate(); !loss) return std::move(loss).error();
  if (last) return ended(finish("done"));

  const bool stopping = group_.any(world_.stop_requested());
  const double age = world_.clock.monotonic_seconds() - last_checkpoint_;
  if (!stopping && !must_checkpoint(progress_.step) &&
      age < 60 * run_.file.execution.checkpoint_minutes)
    return Ended();
  if (!under_way_.empty()) {  // after these, then
    holding_ = true;
    return Ended();
  }
  Result<bool> overtaken = fenced();
  if (!overtaken) return std::move(overtaken).error();
  if (*overtaken) return Ended(run::WorkerExit::fenced);
  if (Result<std::string> path = checkpoint(); !path) return std::move(path).error();
  // A request that came meanwhile needs no other checkpoint.
  const bool leaving = stopping || group_.any(world_.stop_requested());
  return leaving ? ended(stop("preempted", run::WorkerExit::preempted)) : Result<Ended>(Ended());
}

Result<run::WorkerExit> Training::finish(std::string_view status) {
  const bool diverged = status == "diverged";
  double final_loss = std::nan("");
  std::string path;
  if (!diverged) {
    Result<double> loss = evaluate();
    if (!loss) return std::move(loss).error();
    final_loss = *loss;
  }
  Result<bool> overtaken = fenced();
  if (!overtaken) return std::move(overtaken).error();
  if (*overtaken) return run::WorkerExit::fenced;
  if (!diverged) {
    Result<std::string> saved = checkpoint();
    if (!saved) return std::move(saved).error();
    path = *saved;
  }
  const std::int64_t tokens = tokens_seen();
  Json result = {{"schema", "ration.result/1"},
                 {"id", run_.file.id},
                 {"status", status},
                 {"attempt", run_.attempt},
                 {"steps", progress_.step},
                 {"tokens", tokens},
                 {"epochs", epoch_of(tokens)},
                 {"train_loss_last", progress_.last_train_loss},
                 {"params", param_counts(spec_)},
                 {"flops_per_token", flops_per_token(spec_)},
                 {"val_tokens", val_tokens_},
                 {"wall_s", world_.clock.monotonic_seconds() - began_}};
  if (training_seconds_ > 0)
    result["tokens_per_second"] = static_cast<double>(training_tokens_) / training_seconds_;
  if (std::isfinite(final_loss)) result["final_loss"] = final_loss;
  if (!auxiliary_.none()) {
    result["sources"] = auxiliary_.summary();
    result["flops"] = run_flops(spec_);
  }
  const std::optional<double> overhead =
      auxiliary_.learns() ? policy_time_.overhead() : std::nullopt;
  if (overhead) {
    result["policy_overhead"] = *overhead;
    result["flops_charged"] = charged_flops(spec_, *overhead);
  }
  if (progress_.rewinds > 0) result["rewinds"] = progress_.rewinds;
  if (progress_.best_step >= 0)
    result["best_loss"] = progress_.best_loss, result["best_step"] = progress_.best_step;
  if (!path.empty()) result["checkpoint"] = fmt::format("attempt-{}/{}", run_.attempt, path);
  if (!diverged && !std::isfinite(final_loss))
    result["status"] = "diverged";  // finite training losses, broken held-out loss

  Json last_words = {{"final_loss", final_loss}, {"status", result["status"]}};
  if (overhead) {
    last_words["policy_overhead"] = *overhead;
    last_words["flops_charged"] = result["flops_charged"]["exact"];
  }
  fault_point("before-done");
  const bool bad = result["status"] == "diverged";
  if (bad) last_words["reason"] = "diverged";
  if (Result<void> done =
          emit(bad ? run::EventType::stop : run::EventType::done, std::move(last_words), true);
      !done)
    return std::move(done).error();
  fault_point("before-result");
  if (group_.leads())
    if (Result<bool> first = run_.folder.publish_result(result); !first)
      return std::move(first).error();
  try {
    group_.any(false);  // nobody leaves before all is written
  } catch (const GroupLost&) {
  }
  return bad ? run::WorkerExit::diverged : run::WorkerExit::done;
}

Result<run::WorkerExit> Training::loop() {
  if (progress_.step == 0 && run_.file.execution.evals_per_decade > 0)
    if (Result<double> loss = evaluate(); !loss) return std::move(loss).error();
  last_checkpoint_ = loop_began_ = world_.clock.monotonic_seconds();
  paused_seconds_ = 0;
  if (progress_.step == steps_)
    return finish("done");  // the last checkpoint was written, the result was not
  while (true) {
    while (may_begin())
      if (Result<void> done = begin_step(); !done) return std::move(done).error();
    const StepResult result = end_step();
    const UnderWay step = std::move(under_way_.front());
    under_way_.pop_front();
    const Guard::Verdict verdict =
        step.left_out ? Guard::Verdict::fine
                      : guard_.judge(progress_.step, result.loss, result.grad_norm, result.updated);
    const double before = training_seconds_;
    training_seconds_ = world_.clock.monotonic_seconds() - loop_began_ - paused_seconds_;
    policy_time_.training += training_seconds_ - before;
    if (!step.left_out) training_tokens_ += step.batch.tokens();
    fault_point("after-step");
    Result<std::optional<run::WorkerExit>> ended = after_step(step, result, verdict);
    if (!ended) return std::move(ended).error();
    if (*ended) return **ended;
  }
}

Result<run::WorkerExit> Training::run() {
  at::set_num_threads(static_cast<int>(run_.file.execution.threads));
  micro_batch_ = run_.file.execution.micro_batch_sequences;
  began_ = world_.clock.monotonic_seconds();
  if (Result<void> done = begin(); !done) return std::move(done).error();
  if (Result<void> done = sit_down(); !done) return std::move(done).error();
  if (run_.seated != nullptr) *run_.seated = true;
  if (Result<void> done = learn_before_first_step(); !done) return std::move(done).error();
  return loop();
}

}  // namespace ration::train
