#pragma once

// Models small enough to be compared number by number, batches for them, and the comparison.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "run/run.h"
#include "train/model.h"
#include "train/step.h"

namespace ration::test {

struct SmallModel {
  std::string name;
  run::RunSpec spec;
};

// Not resolved yet.
inline run::RunSpec small_spec(const std::string& family, const std::string& mlp, int context) {
  run::RunSpec spec;
  spec.family = family;
  spec.mlp = mlp;
  spec.layers = 2;
  spec.width = 24;  // neither a whole number of vectors nor a power of two
  spec.heads = 3;
  spec.context = context;
  spec.vocab = 29;
  spec.init_std = 0.3;  // far from linear
  return spec;
}

// Another `salt`, other tokens.
inline train::Batch batch_of(const run::RunSpec& spec,
                             std::int64_t sequences,
                             std::int64_t positions,
                             std::int64_t salt = 0) {
  const at::Tensor index = at::arange(sequences * (positions + 1), at::kLong) + 3 * salt;
  const at::Tensor tokens =
      (index * index + 7 * index).remainder(spec.vocab).view({sequences, positions + 1});
  return {tokens.narrow(1, 0, positions).contiguous(), tokens.narrow(1, 1, positions).contiguous()};
}

// `got(name)` is the gradient of a tensor. Each is taken relative to its own norm; one that is zero
// up to rounding, as a key's bias, relative to all.
template <class GradientOf>
void expect_equal_gradients(const GradientOf& got, train::Parameters& want, double tolerance) {
  const double all = want.grads().norm().template item<double>();
  for (const auto& entry : want.entries()) {
    const at::Tensor difference = got(entry.shape.name).view(entry.grad.sizes()) - entry.grad;
    const double scale = entry.grad.norm().template item<double>() + 1e-3 * all;
    EXPECT_LT(difference.norm().template item<double>(), tolerance * scale) << entry.shape.name;
  }
}

}  // namespace ration::test
