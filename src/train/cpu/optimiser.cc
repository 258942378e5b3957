#include "train/cpu/optimiser.h"

#include <cmath>

#include "train/cpu/processor.h"

namespace ration::train::cpu {

template <class Real>
void adamw(Range elements, const AdamFactors& factors, Real* p, const Real* g, Real* m, Real* v) {
  const auto b1 = static_cast<Real>(factors.beta1), c1 = static_cast<Real>(1 - factors.beta1);
  const auto b2 = static_cast<Real>(factors.beta2), c2 = static_cast<Real>(1 - factors.beta2);
  const auto size = static_cast<Real>(factors.step_size), eps = static_cast<Real>(factors.eps);
  const auto root = static_cast<Real>(1 / factors.root_correction);
  const auto scale = static_cast<Real>(factors.grad_scale);
  const auto keep = static_cast<Real>(factors.keep);
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = elements.begin; i < elements.end; ++i) {
      const Real gradient = g[i] * scale;
      m[i] = b1 * m[i] + c1 * gradient;
      v[i] = b2 * v[i] + c2 * gradient * gradient;
      p[i] = p[i] * keep - size * m[i] / (std::sqrt(v[i]) * root + eps);
    }
  });
}

template <class Real>
double sum_of_squares(const Real* x, std::int64_t n) {
  double sum = 0;
  double* total = &sum;
  on_best_processor([=]() __attribute__((always_inline)) {
    double partial = 0;
    for (std::int64_t i = 0; i < n; ++i)
      partial += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    *total = partial;
  });
  return sum;
}

template void adamw<float>(Range, const AdamFactors&, float*, const float*, float*, float*);
template void adamw<double>(Range, const AdamFactors&, double*, const double*, double*, double*);
template double sum_of_squares<float>(const float*, std::int64_t);
template double sum_of_squares<double>(const double*, std::int64_t);

}  // namespace ration::train::cpu
