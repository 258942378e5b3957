#pragma once

// Numbers of price lists as JSON: what is not finite is null. Private to the folder.

#include <cmath>
#include <optional>

#include "base/json.h"
#include "plan/plan.h"

namespace ration::plan {

inline Json finite_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

inline Json optional_json(const std::optional<double>& value) {
  return value ? finite_json(*value) : Json(nullptr);
}

inline Json amount_json(const Amount& amount) {
  return {{"value", finite_json(amount.value)},
          {"low", optional_json(amount.low)},
          {"high", optional_json(amount.high)}};
}

inline Json amount_json(const std::optional<Amount>& amount) {
  return amount ? amount_json(*amount) : Json(nullptr);
}

}  // namespace ration::plan
