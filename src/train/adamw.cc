#include "train/adamw.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/cpu/optimiser.h"
#include "train/parallel.h"
#include "train/width_rule.h"

namespace ration::train {
double flat_norm(const at::Tensor& flat) {
  const bool wide = flat.scalar_type() == at::kDouble;
  return std::sqrt(wide ? cpu::sum_of_squares(flat.data_ptr<double>(), flat.numel())
                        : cpu::sum_of_squares(flat.data_ptr<float>(), flat.numel()));
}

AdamW::AdamW(const run::RunSpec& spec, const Parameters& parameters)
    : beta1_(spec.beta1),
      beta2_(spec.beta2),
      eps_(spec.adam_eps),
      weight_decay_(spec.weight_decay),
      hidden_rate_(WidthRule(spec).hidden_rate) {
  const auto& entries = parameters.entries();
  one_rate_ = std::all_of(
      entries.begin(), entries.end(), [](const auto& entry) { return entry.shape.rate == 1; });
  first_ = at::zeros_like(parameters.values());
  second_ = at::zeros_like(parameters.values());
}

void AdamW::step(Parameters& parameters, double lr, double grad_scale) {
  ++updates_;
  const auto count = static_cast<double>(updates_);
  cpu::AdamFactors factors{.beta1 = beta1_,
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
    const double step_size = factors.step_size;
    const auto update = [&](std::int64_t begin, std::int64_t end, double keep, double rate = 1) {
      factors.keep = keep;
      factors.step_size = rate * step_size;
      in_parts(end - begin, [&](cpu::Range range, std::int64_t) {
        cpu::adamw({begin + range.begin, begin + range.end}, factors, p, g, m, v);
      });
    };
    const double decay = 1 - lr * weight_decay_;  // by lr itself, whatever a tensor's rate is
    const auto one_by_one = [&](bool matrices, double keep) {
      for (const Parameters::Entry& entry : parameters.entries())
        if ((entry.shape.shape.size() >= 2) == matrices && entry.shape.tuned)
          update(entry.offset,
                 entry.offset + entry.value.numel(),
                 keep,
                 entry.shape.rate * (matrices && entry.shape.hidden ? hidden_rate_ : 1));
    };
    if (hidden_rate_ == 1 && one_rate_)
      update(parameters.tuned().matrices, parameters.decayed(), decay);
    else
      one_by_one(true, decay);
    if (one_rate_)
      update(parameters.tuned().vectors, first_.numel(), 1.0);
    else
      one_by_one(false, 1.0);
  };
  if (first_.scalar_type() == at::kDouble)
    run(static_cast<double*>(nullptr));
  else
    run(static_cast<float*>(nullptr));
}

}  // namespace ration::train
