// UCB1: the arm whose mean reward, plus a bonus for what is little known, is highest.

#include <cmath>
#include <numeric>

#include "data/policy/policies.h"

namespace ration::data {
namespace {

class Ucb1 final : public Policy {
 public:
  explicit Ucb1(const PolicyOptions& options)
      : Policy(options.weights.size()),
        options_(options),
        mean_(arms(), 0),
        counts_(arms(), 1),
        counted_(arms(), 1) {}

  void begin_with(std::size_t arm, double reward) override { mean_[arm] = reward; }

  void observe(std::size_t arm, double reward) override {
    const auto known = static_cast<double>(counted_[arm]);
    const auto all = static_cast<double>(counts_[arm]);
    const double weight = options_.plain_mean ? (all - known) / all : options_.smoothing;
    mean_[arm] += weight * (reward - mean_[arm]);
    counted_[arm] = counts_[arm];
  }
  void end_step() override {}

 private:
  // 1 for the arm that comes next.
  void open_probs(std::span<double> p) const override {
    const double plays = std::accumulate(counts_.begin(), counts_.end(), 0.0);
    std::size_t best = arms();
    double highest = 0;
    for (std::size_t arm = 0; arm < arms(); ++arm) {
      p[arm] = 0;
      if (!is_open(arm)) continue;
      const double index =
          mean_[arm] + std::sqrt(2 * std::log(plays) / static_cast<double>(counts_[arm]));
      if (best == arms() || index > highest) best = arm, highest = index;
    }
    if (best < arms()) p[best] = 1;
  }

  std::size_t choose(std::span<const double> p, double uniform) const override {
    return options_.second_softmax ? choose_softly(p, uniform) : Policy::choose(p, uniform);
  }

  void pulled(const Draw& draw) override { ++counts_[draw.arm]; }

  Json own_state() const override {
    return {{"mean", mean_}, {"counts", counts_}, {"counted", counted_}};
  }
  void load_own(const Json& state) override {
    state.at("mean").get_to(mean_);
    state.at("counts").get_to(counts_);
    state.at("counted").get_to(counted_);
  }

  PolicyOptions options_;
  std::vector<double> mean_;           // S
  std::vector<std::int64_t> counts_;   // n: pulls, and the one before the first step
  std::vector<std::int64_t> counted_;  // of these, how many the plain mean holds
};

}  // namespace

std::unique_ptr<Policy> make_ucb1_policy(const PolicyOptions& options) {
  return std::make_unique<Ucb1>(options);
}

}  // namespace ration::data
