#include "train/adamw.h"

#include <ATen/ATen.h>

#include <cmath>

namespace ration::train {
namespace {

struct Factors {
  double beta1, beta2, eps, step_size, root_correction, grad_scale;
};

// The loop that the compiler vectorises; `keep` is 1 - lr * weight_decay on the decayed part and 1
// behind it.
template <class Real>
void update(Real* p,
            const Real* g,
            Real* m,
            Real* v,
            std::int64_t begin,
            std::int64_t end,
            const Factors& f,
            double keep) {
  const auto scale = static_cast<Real>(f.grad_scale), kept = static_cast<Real>(keep);
  const auto b1 = static_cast<Real>(f.beta1), b2 = static_cast<Real>(f.beta2);
  const auto c1 = static_cast<Real>(1 - f.beta1), c2 = static_cast<Real>(1 - f.beta2);
  const auto size = static_cast<Real>(f.step_size), root = static_cast<Real>(f.root_correction),
             eps = static_cast<Real>(f.eps);
  for (std::int64_t i = begin; i < end; ++i) {
    const Real gradient = g[i] * scale;
    m[i] = b1 * m[i] + c1 * gradient;
    v[i] = b2 * v[i] + c2 * gradient * gradient;
    p[i] = p[i] * kept - size * m[i] / (std::sqrt(v[i]) / root + eps);
  }
}

template <class Real>
double sum_of_squares(const Real* x, std::int64_t n) {
  constexpr std::int64_t kLanes = 8;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(x[i + lane]);
      lanes[lane] += value * value;
    }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double flat_norm(const at::Tensor& flat) {
  const bool wide = flat.scalar_type() == at::kDouble;
  return std::sqrt(wide ? sum_of_squares(flat.data_ptr<double>(), flat.numel())
                        : sum_of_squares(flat.data_ptr<float>(), flat.numel()));
}

AdamW::AdamW(const run::RunSpec& spec, const Parameters& parameters)
    : beta1_(spec.beta1),
      beta2_(spec.beta2),
      eps_(spec.adam_eps),
      weight_decay_(spec.weight_decay) {
  first_ = at::zeros_like(parameters.values());
  second_ = at::zeros_like(parameters.values());
}

void AdamW::step(Parameters& parameters, double lr, double grad_scale) {
  ++updates_;
  const auto count = static_cast<double>(updates_);
  const Factors factors{.beta1 = beta1_,
                        .beta2 = beta2_,
                        .eps = eps_,
                        .step_size = lr / (1 - std::pow(beta1_, count)),
                        .root_correction = std::sqrt(1 - std::pow(beta2_, count)),
                        .grad_scale = grad_scale};
  const auto run = [&]<class Real>(Real*) {
    auto* p = parameters.values().data_ptr<Real>();
    const auto* g = parameters.grads().data_ptr<Real>();
    auto* m = first_.data_ptr<Real>();
    auto* v = second_.data_ptr<Real>();
    update(p, g, m, v, 0, parameters.decayed(), factors, 1 - lr * weight_decay_);
    update(p, g, m, v, parameters.decayed(), first_.numel(), factors, 1.0);
  };
  if (first_.scalar_type() == at::kDouble)
    run(static_cast<double*>(nullptr));
  else
    run(static_cast<float*>(nullptr));
}

}  // namespace ration::train
