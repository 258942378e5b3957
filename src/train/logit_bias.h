#pragma once

// The probe of a point: a bias on the logits, all else fixed, which shows how much of a loss is a
// matter of how often tokens occur.

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "run/points.h"
#include "train/batches.h"
#include "train/model.h"

namespace ration::train {

// The bias [V] that probe.steps steps of Adam ("Adam: A Method for Stochastic Optimization", 2015,
// with its defaults) from zero leave, on the batches that `next` gives, one a step. It minimises
// mean -ln softmax(logits + bias)[target], which is convex in the bias.
at::Tensor fit_logit_bias(const Model& model,
                          const run::PointProbe& probe,
                          const std::function<Batch()>& next);

// Nats a token of each window, with the bias on the logits.
std::vector<double> window_losses_with(const Model& model,
                                       const Windows& windows,
                                       const at::Tensor& bias);

}  // namespace ration::train
