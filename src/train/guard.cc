#include "train/guard.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ration::train {
namespace {

constexpr std::size_t kHistory = 128;     // steps that mean, deviation and median are taken over
constexpr double kSpikeDeviations = 6;    // loss above mean + this many standard deviations …
constexpr double kSpikeNorms = 10;        // … and gradient norm above this many times its median
constexpr std::int64_t kSkipsInARow = 3;  // end the run
constexpr std::size_t kSkipsInWindow = 10;  // likewise, within …
constexpr std::int64_t kSkipWindow = 1000;  // … this many steps

}  // namespace

bool Guard::is_spike(double loss, double grad_norm) const {
  if (losses_.size() < kHistory) return false;
  const auto n = static_cast<double>(losses_.size());
  double mean = 0, square = 0;
  for (const double x : losses_) mean += x / n;
  for (const double x : losses_) square += (x - mean) * (x - mean) / n;
  if (loss <= mean + kSpikeDeviations * std::sqrt(square)) return false;
  std::vector<double> norms(norms_.begin(), norms_.end());
  std::nth_element(
      norms.begin(), norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2), norms.end());
  return grad_norm > kSpikeNorms * norms[norms.size() / 2];
}

Guard::Verdict Guard::judge(std::int64_t step, double loss, double grad_norm, bool finite) {
  if (!finite) {
    ++skips_in_a_row_;
    skips_.push_back(step);
    while (skips_.front() <= step - kSkipWindow) skips_.pop_front();
    return skips_in_a_row_ >= kSkipsInARow || skips_.size() >= kSkipsInWindow ? Verdict::diverged
                                                                              : Verdict::skip;
  }
  skips_in_a_row_ = 0;
  const bool spike = is_spike(loss, grad_norm);
  losses_.push_back(loss);
  norms_.push_back(grad_norm);
  if (losses_.size() > kHistory) losses_.pop_front(), norms_.pop_front();
  return spike ? Verdict::spike : Verdict::fine;
}

Json Guard::to_json() const {
  return {{"losses", losses_},
          {"norms", norms_},
          {"skips", skips_},
          {"skips_in_a_row", skips_in_a_row_}};
}

void Guard::restore(const Json& state) {
  losses_ = state.at("losses").get<std::deque<double>>();
  norms_ = state.at("norms").get<std::deque<double>>();
  skips_ = state.at("skips").get<std::deque<std::int64_t>>();
  skips_in_a_row_ = state.at("skips_in_a_row").get<std::int64_t>();
}

}  // namespace ration::train
