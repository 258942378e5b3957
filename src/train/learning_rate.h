#pragma once

// The learning rate as a function of the step alone. Known answers:
// tests/vectors/sampler_reference.json, `schedules`.

#include <cstdint>
#include <string>

#include "run/spec.h"

namespace ration::train {

enum class ScheduleKind { cosine, wsd, constant };

// Steps s = 0 … steps-1. Warm-up: peak (s+1)/warmup for s < warmup. Then
//   cosine: peak (f + (1-f)(1 + cos(pi x))/2), x = (s - warmup)/max(1, steps-1-warmup)
//   wsd:    peak until steps-decay, then peak (1 - (1-f) sqrt(x)), x = (s - steps + decay +
//   1)/decay const:  peak
struct LearningRate {
  ScheduleKind kind = ScheduleKind::cosine;
  double peak = 0;
  double final_fraction = 0;  // f
  std::int64_t steps = 0;
  std::int64_t warmup = 0;
  std::int64_t decay = 0;  // wsd only

  double at(std::int64_t step) const;
};

// Fractions of the steps become whole steps, rounded to nearest.
LearningRate learning_rate(const run::RunSpec& spec, std::int64_t steps);

}  // namespace ration::train
