#include "data/policy/policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/policy/policies.h"

namespace ration::data {

void Policy::probs(std::span<double> p) const {
  open_probs(p);
  double sum = 0;
  for (std::size_t arm = 0; arm < p.size(); ++arm) sum += open_[arm] ? p[arm] : 0;
  if (std::find(open_.begin(), open_.end(), false) == open_.end()) return;
  const auto open = static_cast<double>(std::count(open_.begin(), open_.end(), true));
  for (std::size_t arm = 0; arm < p.size(); ++arm)  // where the closed ones had everything: evenly
    p[arm] = !open_[arm] ? 0 : sum > 0 ? p[arm] / sum : 1 / open;
}

std::optional<Draw> Policy::next(double uniform) {
  if (std::find(open_.begin(), open_.end(), true) == open_.end()) return std::nullopt;
  std::vector<double> p(arms());
  probs(p);
  const std::size_t arm = choose(p, uniform);
  const Draw draw{.arm = arm, .p = p[arm]};
  pulled(draw);
  return draw;
}

std::size_t Policy::choose(std::span<const double> p, double uniform) const {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t arm = 0; arm < p.size(); ++arm) {
    if (p[arm] <= 0) continue;
    sum += p[arm];
    last = arm;
    if (sum > uniform) return arm;
  }
  return last;  // the sum fell short of 1 by rounding
}

std::size_t Policy::choose_softly(std::span<const double> p, double uniform) const {
  std::vector<double> soft = softmax(p);
  double sum = 0;
  for (std::size_t arm = 0; arm < p.size(); ++arm) sum += soft[arm] *= open_[arm] ? 1 : 0;
  return Policy::choose(soft, uniform * sum);
}

void Policy::close(std::size_t arm) {
  if (!open_[arm]) return;
  open_[arm] = false;
  closed();
}

Json Policy::state() const {
  Json state = own_state();
  state["open"] = open_;
  return state;
}

void Policy::load(const Json& state) {
  open_ = state.at("open").get<std::vector<bool>>();
  load_own(state);
}

std::unique_ptr<Policy> make_policy(const PolicyOptions& options) {
  switch (options.kind) {
    case PolicyKind::fixed:
    case PolicyKind::proportional:
      return make_fixed_policy(options);
    case PolicyKind::exp3:
    case PolicyKind::odm:
      return make_exponential_policy(options);
    case PolicyKind::ucb1:
      return make_ucb1_policy(options);
  }
  return nullptr;
}

std::vector<double> softmax(std::span<const double> p) {
  std::vector<double> result(p.begin(), p.end());
  const double highest = *std::max_element(p.begin(), p.end());
  for (double& value : result) value = std::exp(value - highest);
  const double sum = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& value : result) value /= sum;
  return result;
}

}  // namespace ration::data
