#pragma once

// What an online policy costs in time, as a run measures it while it trains (docs/mixtures.md,
// "Cost"). Both sums go on over attempts: checkpoints hold them.

#include <optional>

#include "base/json.h"

namespace ration::train {

struct PolicyTime {
  double policy = 0;    // s in what only the policy needs
  double training = 0;  // s of steps, and of what the policy needs before the first

  // The policy's time as a share of the rest's; nothing while nothing was measured.
  std::optional<double> overhead() const {
    if (!(training > policy)) return std::nullopt;
    return policy / (training - policy);
  }

  Json to_json() const { return {{"policy_s", policy}, {"training_s", training}}; }
  static PolicyTime from(const Json& json) {
    return {.policy = json.value("policy_s", 0.0), .training = json.value("training_s", 0.0)};
  }
};

}  // namespace ration::train
