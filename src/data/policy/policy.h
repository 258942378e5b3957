#pragma once

// Which auxiliary source (arm) is drawn next. Fixed shares, or a bandit that learns from rewards:
// "Improving Few-Shot Generalization by Exploring and Exploiting Auxiliary Data" (2023) and
// "Efficient Online Data Mixing For Language Model Pre-Training" (2023); docs/mixtures.md has the
// formulas.
//
//   auto policy = make_policy({.kind = PolicyKind::exp3, .weights = {1, 1, 1}});
//   for each step:
//     for each pull: Draw draw = *policy->next(stream.uniform());  // train on a batch of draw.arm
//     for each arm that was pulled: policy->observe(arm, reward);
//     policy->end_step();
//
// Everything is a function of the uniforms and rewards given, so a stored state repeats the same
// draws bit for bit. Not to be shared by threads. A step costs O(arms).

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ration::data {

enum class PolicyKind { fixed, proportional, exp3, ucb1, odm };

struct PolicyOptions {
  PolicyKind kind = PolicyKind::fixed;
  // One an arm, above 0, of any sum. fixed and proportional: the arms' shares; odm: those of its
  // warm-up. The others read how many there are.
  std::vector<double> weights;
  // fixed and proportional: the arm that lacks most of its share comes next (ties: the lowest), so
  // that |count - share pulls| < arms at any time; false: each draw is independent.
  bool quota = true;
  // exp3 and odm: the part of every arm that is left to exploring is min(1/K, sqrt(ln K / (K (kappa
  // pulls + 1)))). 1 is the textbook's; the authors' program has 10.
  double kappa = 1;
  // exp3: an arm pulled c of G times is credited c reward / (G p), which is unbiased; false:
  // reward / p once, as the authors' program does.
  bool credit_counts = true;
  // exp3: part of all estimates that is forgotten at each pull, [0, 1). The textbook forgets
  // nothing and needs as long to turn to another arm as it had learned before.
  double forgetting = 0;
  // Weight of the newest reward in an arm's mean, (0, 1]. 1 keeps none of the older ones.
  double smoothing = 1;
  // ucb1: the mean of all rewards of an arm in place of the moving one.
  bool plain_mean = false;
  // exp3 and ucb1: probabilities go through a softmax before the draw while credit is given by
  // those before it: a defect of the authors' program, for replication alone.
  bool second_softmax = false;
};

// One pull.
struct Draw {
  std::size_t arm = 0;
  double p = 0;  // that credit is given by: the probability of the arm when it was drawn
};

class Policy {
 public:
  explicit Policy(std::size_t arms) : open_(arms, true) {}
  virtual ~Policy() = default;

  std::size_t arms() const { return open_.size(); }

  // Probability of each arm at the next pull, [arms()]: sums to 1, 0 for closed arms; all 0 when
  // every arm is closed.
  void probs(std::span<double> p) const;

  // The next pull, by a uniform in [0, 1): the first arm whose running sum of p exceeds it, where
  // the policy draws at all. Nothing: every arm is closed.
  std::optional<Draw> next(double uniform);

  // What the part of this step that came from `arm`, pulled in it, was worth. At most once an arm
  // and step; an arm without a reward keeps what is known of it.
  virtual void observe(std::size_t arm, double reward) = 0;
  virtual void end_step() = 0;

  // ucb1: the reward before the first step, which counts as one pull.
  virtual void begin_with(std::size_t, double) {}

  // odm: from now on arms are drawn by their weights, or by what was learned, as in the beginning.
  // What is observed counts either way.
  virtual void draw_by_weights(bool) {}

  // Never drawn again: the others' probabilities are scaled up to sum to 1.
  void close(std::size_t arm);
  bool is_open(std::size_t arm) const { return open_[arm]; }

  // Between steps: all that later draws depend on. load() takes what state() gave for the same
  // options; it throws Json::exception on anything else.
  Json state() const;
  void load(const Json& state);

 protected:
  // Of all arms, as if none were closed.
  virtual void open_probs(std::span<double> p) const = 0;
  // The arm that `p`, which holds no closed arm, leads to; by a draw unless overridden.
  virtual std::size_t choose(std::span<const double> p, double uniform) const;
  // By a draw from the softmax of `p`: second_softmax.
  std::size_t choose_softly(std::span<const double> p, double uniform) const;
  virtual void pulled(const Draw& draw) = 0;
  virtual void closed() {}
  virtual Json own_state() const = 0;
  virtual void load_own(const Json& state) = 0;

 private:
  std::vector<bool> open_;
};

std::unique_ptr<Policy> make_policy(const PolicyOptions& options);

// softmax(p): what second_softmax does to probabilities.
std::vector<double> softmax(std::span<const double> p);

}  // namespace ration::data
