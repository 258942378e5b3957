#pragma once

// What depends on width beyond the shapes. `standard` is the usual decoder; `mup` lets a learning
// rate that was found at one width suit any ("Tensor Programs V", 2022; docs/training.md).

#include "run/spec.h"

namespace ration::train {

struct WidthRule {
  double attention_scale = 1;  // of q k'
  double logit_scale = 1;
  double hidden_rate = 1;  // learning rate of the matrices inside layers, relative to lr
  double hidden_std = 1;   // their initial deviation, relative to init_std

  explicit WidthRule(const run::RunSpec& spec);
};

}  // namespace ration::train
