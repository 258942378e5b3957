#pragma once

// The loops over all parameters at once: AdamW and the gradient norm.

#include "train/cpu/lanes.h"

namespace ration::train::cpu {

struct AdamFactors {
  double beta1 = 0, beta2 = 0, eps = 0;
  double step_size = 0;        // lr / (1 - beta1^t)
  double root_correction = 1;  // sqrt(1 - beta2^t)
  double grad_scale = 1;       // the clip coefficient
  double keep = 1;             // 1 - lr * weight_decay
};

// With g the scaled gradient: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2,
// p = keep p - step_size m / (sqrt(v)/root_correction + eps).
template <class Real>
void adamw(Range elements, const AdamFactors& factors, Real* p, const Real* g, Real* m, Real* v);

// Summed in double.
template <class Real>
double sum_of_squares(const Real* x, std::int64_t n);

}  // namespace ration::train::cpu
