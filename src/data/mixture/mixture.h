#pragma once

// The auxiliary part of every training step: which windows of which sources, as a policy chooses,
// and what the policy is told of them.
//
//   Mixture mixture({.sources = {…}, .policy = {…}, .seed = 1});
//   const auto parts = mixture.step(4);            // 4 sequences
//   for (const Part& part : *parts) …;             // train on part.windows of source part.arm
//   mixture.observe(part.arm, RewardKind::alignment, r);
//   mixture.end_step();
//
// Draws come from (seed, StreamId::sources) by the number of pulls; a stored state repeats them
// bit for bit.

#include <memory>
#include <optional>
#include <vector>

#include "data/mixture/source.h"
#include "data/policy/policy.h"
#include "data/policy/rewards.h"

namespace ration::data {

struct MixtureOptions {
  std::vector<SourceOptions> sources;
  PolicyOptions policy;    // its weights are one a source
  std::int64_t pulls = 0;  // a step, of as equal sizes as can be; 0: one for each sequence
  // odm: sequences that are drawn by weights before the policy chooses.
  std::int64_t warmup = 0;
  double r_star = 0;    // repeat_weight(); 0: rewards are not lowered by repetition
  bool rescale = true;  // rewards into [0, 1]
  std::uint64_t seed = 0;
};

// What a step takes from one source.
struct Part {
  std::size_t arm = 0;
  std::vector<std::uint32_t> windows;
};

class Mixture {
 public:
  explicit Mixture(const MixtureOptions& options);

  const std::vector<Source>& sources() const { return sources_; }

  // The sources that `sequences` sequences of a step come from, by ascending arm. A source that
  // reaches its cap within a pull gives what it has, and another pull gives the rest. Nothing: all
  // sources are at their caps.
  std::optional<std::vector<Part>> step(std::int64_t sequences);

  // Tells the policy what a part of this step was worth: `reward` rescaled, and lowered by what the
  // source repeats.
  void observe(std::size_t arm, RewardKind kind, double reward);
  // The same of a reward that lies in [0, 1] already.
  void observe(std::size_t arm, double reward) { observe_scaled(arm, reward, reward); }
  void begin_with(std::size_t arm, RewardKind kind, double reward);
  void end_step();

  // For the log, one number a source: p of the next pull, pulls, windows and repeats so far, the
  // last reward as it was measured, and the weight that repetition left of it (both null before).
  Json log() const;

  Json state() const;
  void load(const Json& state);

 private:
  double scaled(RewardKind kind, double reward) const {
    return rescale_ ? rescaled(kind, reward) : reward;
  }
  void observe_scaled(std::size_t arm, double measured, double reward);
  void look_at_warmup();

  std::vector<Source> sources_;
  std::unique_ptr<Policy> policy_;
  std::int64_t pulls_a_step_;
  std::int64_t warmup_;
  double r_star_;
  bool rescale_;
  std::uint64_t seed_;
  std::int64_t draws_ = 0;
  std::vector<std::int64_t> pulls_;  // of each arm
  Json last_rewards_, last_weights_;
};

}  // namespace ration::data
