#pragma once

// Watches the losses of a run: a step that is not finite is skipped, a run that keeps producing
// them is stopped as diverged, and a spike is reported.

#include <cstdint>
#include <deque>

#include "base/json.h"

namespace ration::train {

class Guard {
 public:
  enum class Verdict { fine, spike, skip, diverged };

  // To be called once a step; `finite` says whether the update was made.
  Verdict judge(std::int64_t step, double loss, double grad_norm, bool finite);

  Json to_json() const;
  void restore(const Json& state);

 private:
  bool is_spike(double loss, double grad_norm) const;

  std::deque<double> losses_;  // of the last steps, newest last
  std::deque<double> norms_;
  std::deque<std::int64_t> skips_;  // steps that were skipped lately
  std::int64_t skips_in_a_row_ = 0;
};

}  // namespace ration::train
