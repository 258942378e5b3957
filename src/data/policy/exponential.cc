// EXP3 and ODM: probabilities by exponential weights of estimated rewards, mixed with a part that
// explores and shrinks with time.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/policy/policies.h"

namespace ration::data {
namespace {

class Exponential final : public Policy {
 public:
  explicit Exponential(const PolicyOptions& options)
      : Policy(options.weights.size()),
        options_(options),
        estimate_(arms(), 0),
        smoothed_(arms(), 1),
        shares_(options.weights),
        p_(arms(), 1 / static_cast<double>(arms())),
        step_(arms()) {
    const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
    for (double& share : shares_) share /= sum;
  }

  void draw_by_weights(bool by_weights) override {
    by_weights_ = by_weights && options_.kind == PolicyKind::odm;
  }

  void observe(std::size_t arm, double reward) override {
    step_[arm].rewarded = true;
    smoothed_[arm] += options_.smoothing * (reward - smoothed_[arm]);
    step_[arm].reward = reward;
  }

  void end_step() override {
    std::int64_t pulls = 0;
    for (const Pulled& of_arm : step_) pulls += of_arm.count;
    if (options_.forgetting > 0)
      for (double& estimate : estimate_)
        estimate *= std::pow(1 - options_.forgetting, static_cast<double>(pulls));
    for (std::size_t arm = 0; arm < arms(); ++arm)
      if (step_[arm].rewarded && step_[arm].count > 0) credit(arm, pulls);
    step_.assign(arms(), {});
    const double before = floor();
    pulls_ += pulls;
    if (pulls > 0) weigh(before, floor());
  }

 private:
  // What happened to an arm since the step began.
  struct Pulled {
    std::int64_t count = 0;
    double inverses = 0;  // sum of 1/p over its pulls
    double reward = 0;
    bool rewarded = false;
  };

  double floor() const {
    const auto arms = static_cast<double>(this->arms());
    const double time = options_.kappa * static_cast<double>(pulls_) + 1;
    return std::min(1 / arms, std::sqrt(std::log(arms) / (arms * time)));
  }

  // exp3: R += c S / (G p). odm: R moves towards reward / p of the arms that were drawn.
  void credit(std::size_t arm, std::int64_t pulls) {
    const Pulled& of_arm = step_[arm];
    const double inverse = of_arm.inverses / static_cast<double>(of_arm.count);
    if (options_.kind == PolicyKind::odm) {
      estimate_[arm] += options_.smoothing * (of_arm.reward * inverse - estimate_[arm]);
      return;
    }
    const double times =
        options_.credit_counts ? static_cast<double>(of_arm.count) / static_cast<double>(pulls) : 1;
    estimate_[arm] += times * inverse * smoothed_[arm];
  }

  void weigh(double rate, double floor) {
    const double highest = *std::max_element(estimate_.begin(), estimate_.end());
    double sum = 0;
    for (std::size_t arm = 0; arm < arms(); ++arm)
      sum += p_[arm] = std::exp(rate * (estimate_[arm] - highest));
    const double rest = 1 - static_cast<double>(arms()) * floor;
    for (double& p : p_) p = rest * p / sum + floor;
  }

  void open_probs(std::span<double> p) const override {
    const std::vector<double>& now = by_weights_ ? shares_ : p_;
    std::copy(now.begin(), now.end(), p.begin());
  }

  std::size_t choose(std::span<const double> p, double uniform) const override {
    return options_.second_softmax ? choose_softly(p, uniform) : Policy::choose(p, uniform);
  }

  void pulled(const Draw& draw) override {
    ++step_[draw.arm].count;
    step_[draw.arm].inverses += 1 / draw.p;
  }

  Json own_state() const override {
    return {{"estimate", estimate_}, {"smoothed", smoothed_}, {"p", p_}, {"pulls", pulls_}};
  }
  void load_own(const Json& state) override {
    state.at("estimate").get_to(estimate_);
    state.at("smoothed").get_to(smoothed_);
    state.at("p").get_to(p_);
    state.at("pulls").get_to(pulls_);
  }

  PolicyOptions options_;
  std::vector<double> estimate_;  // R of the formulas
  std::vector<double> smoothed_;  // S
  std::vector<double> shares_;    // by weights
  bool by_weights_ = false;
  std::vector<double> p_;
  std::int64_t pulls_ = 0;
  std::vector<Pulled> step_;
};

}  // namespace

std::unique_ptr<Policy> make_exponential_policy(const PolicyOptions& options) {
  return std::make_unique<Exponential>(options);
}

}  // namespace ration::data
