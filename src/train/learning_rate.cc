#include "train/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ration::train {

double LearningRate::at(std::int64_t step) const {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  if (step < warmup) return peak * real(step + 1) / real(warmup);
  if (kind == ScheduleKind::cosine) {
    const double x = real(step - warmup) / real(std::max<std::int64_t>(1, steps - 1 - warmup));
    return peak *
           (final_fraction + (1 - final_fraction) * (1 + std::cos(std::numbers::pi * x)) / 2);
  }
  if (kind == ScheduleKind::wsd && step >= steps - decay) {
    const double x = real(step - steps + decay + 1) / real(decay);
    return peak * (1 - (1 - final_fraction) * std::sqrt(x));
  }
  return peak;
}

LearningRate learning_rate(const run::RunSpec& spec, std::int64_t steps) {
  const auto share = [&](double fraction) {
    return static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(steps)));
  };
  const ScheduleKind kind = spec.schedule == "cosine" ? ScheduleKind::cosine
                            : spec.schedule == "wsd"  ? ScheduleKind::wsd
                                                      : ScheduleKind::constant;
  return {.kind = kind,
          .peak = spec.lr,
          .final_fraction = spec.final_lr_fraction,
          .steps = steps,
          .warmup = share(spec.warmup_fraction),
          .decay = share(spec.decay_fraction)};
}

}  // namespace ration::train
