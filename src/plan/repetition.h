#pragma once

// What a further epoch buys, and what more unique tokens would buy against more compute.
//
//   Repetition repetition = what_epochs_buy(fit, request, Params(1e9), Epochs(8));
//   Exchange exchange = data_against_compute(fit, request);

#include "plan/plan.h"

namespace ration::plan {

struct EpochRow {
  double epochs = 0;
  double tokens = 0;
  Amount loss;      // after so many epochs
  double gain = 0;  // what one further epoch takes off the loss, nats a token; below 0 = it harms
  // What the next repeated token is worth, in fresh ones: 1 at the first epoch, below 0 where
  // repeating harms.
  double worth = 0;
};

struct Repetition {
  double params = 0;
  std::vector<EpochRow> rows;
  // Repeats after which a repeated token is worth half a fresh one: R_D* ln 2 under exponential
  // decay, shorter than R_D* itself. Nothing where no number of repeats up to 1e5 does it.
  std::optional<Amount> half_life;
  std::optional<double> harmful_from;  // epochs after which the loss rises
};

// At a fixed model size on all of request.unique as one pool: 1, 2, 3, 4, 6, 8, 12, … epochs, up to
// four times `around` and at least 16. The worth of a token is the derivative of the law's
// effective tokens D' where it has such; for penalty laws the ratio of what the loss falls by one
// repeated and one fresh token, the fresh one from where fresh tokens alone give the same loss.
Repetition what_epochs_buy(const fit::Fit& fit,
                           const Request& request,
                           Params params,
                           Epochs around);

struct Exchange {
  double factor = 2;
  // What `factor` times the unique tokens, and `factor` times the compute, take off the least loss,
  // nats a token; the plan made anew each time.
  Amount gain_of_data, gain_of_compute;
  // Times the compute that takes off as much as `factor` times the unique tokens; nothing where no
  // compute up to 1e6 times does.
  std::optional<double> compute_for_data;
};

// Needs check(request) to be empty.
Exchange data_against_compute(const fit::Fit& fit, const Request& request);

// Members of the document ration.plan/1 (docs/planning.md).
Json to_json(const Repetition& repetition);
Json to_json(const Exchange& exchange);

}  // namespace ration::plan
