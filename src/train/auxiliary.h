#pragma once

// The auxiliary part of a run's data: which windows of which sources each step takes, and what the
// policy that chooses them learns from the step (docs/mixtures.md).

#include <optional>
#include <vector>

#include "data/mixture/mixture.h"
#include "run/mixture.h"
#include "train/batches.h"
#include "train/step.h"

namespace ration::train {

class Auxiliary {
 public:
  // The windows of each source, in the order of spec.aux. None where the run has no auxiliary data.
  Auxiliary(const run::RunSpec& spec, std::vector<Windows> sources);

  bool none() const { return !mixture_; }
  // The next draws depend on what the last step showed.
  bool learns() const { return run::is_online(spec_); }

  // Of the first sequences of the run, how many are auxiliary.
  std::int64_t sequences(std::int64_t first) const { return share_.sequences(first); }

  // `target` and behind it `count` sequences of the sources; where the policy learns, with what of
  // the batch is whose. Nothing: all sources are at their caps.
  std::optional<Batch> with(Batch target, std::int64_t count);

  // Before the first step, where the policy wants to know gradients then: sequences of the target
  // and of every source. Nothing to do: nothing.
  std::optional<Batch> before_first_step(const Windows& target) const;
  void begin_with(const StepResult& result);

  // Ends the step that the last batch was for; a result that changed nothing teaches nothing.
  void end_step(const Batch& batch, const StepResult& result);

  Json state() const { return mixture_->state(); }
  void load(const Json& state) { mixture_->load(state); }
  // For train lines: one number a source.
  Json log() const { return mixture_->log(); }
  // For the result: what was seen of each source.
  Json summary() const;

 private:
  std::optional<double> reward_of(const Batch& batch,
                                  const StepResult& result,
                                  std::size_t i) const;

  run::RunSpec spec_;
  run::AuxShare share_;
  std::vector<run::AuxSource> about_;
  std::vector<Windows> windows_;
  std::optional<data::Mixture> mixture_;
  data::RewardKind kind_ = data::RewardKind::alignment;
};

}  // namespace ration::train
