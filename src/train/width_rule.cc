#include "train/width_rule.h"

#include <cmath>

namespace ration::train {

WidthRule::WidthRule(const run::RunSpec& spec) {
  constexpr double kBase = 64;  // the width at which rates and deviations are those of the spec
  const auto head_width = static_cast<double>(spec.width / spec.heads);
  attention_scale = 1 / std::sqrt(head_width);
  if (spec.parametrisation != "mup") return;
  const double wider = static_cast<double>(spec.width) / kBase;
  attention_scale = 1 / head_width;
  logit_scale = 1 / wider;
  hidden_rate = 1 / wider;
  hidden_std = 1 / std::sqrt(wider);
}

}  // namespace ration::train
