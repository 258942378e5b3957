#pragma once

// Runs whose best model sizes are known in closed form: for the tests of the classical procedures.

#include "fit/support.h"

namespace ration::test {

// L = E + A N^-alpha + B D^-beta, and what is best under 6 N D = C:
// N_opt = G (C/6)^(beta/(alpha+beta)), G = (alpha A / (beta B))^(1/(alpha+beta)).
struct BaseLaw {
  double a = 482.01, b = 2085.43, e = 1.8172, alpha = 0.3478, beta = 0.3658;

  double loss(double params, double tokens) const {
    return e + a * std::pow(params, -alpha) + b * std::pow(tokens, -beta);
  }
  double exponent() const { return beta / (alpha + beta); }
  double best_params(double flops) const {
    const double g = std::pow(alpha * a / (beta * b), 1 / (alpha + beta));
    return g * std::pow(flops / 6, exponent());
  }
};
inline const BaseLaw kBaseLaw;

struct IsoflopPlan {
  double noise = 0;  // standard deviation of ln L
  std::uint64_t seed = 1;
  int levels = 6;      // from 6e18 FLOPs, half a decade apart
  int sizes = 9;       // at each
  double ratio = 1.4;  // between sizes
  double shift = 0;    // of the middle size above the best one, in steps
};

inline std::vector<fit::Observation> isoflop_runs(const IsoflopPlan& plan) {
  Stream stream(plan.seed, StreamId::starts);
  std::vector<fit::Observation> runs;
  for (int level = 0; level < plan.levels; ++level) {
    const double flops = 6e18 * std::pow(10, 0.5 * level);
    for (int i = 0; i < plan.sizes; ++i) {
      const double steps = i - (plan.sizes - 1) / 2.0 + plan.shift;
      const double params = kBaseLaw.best_params(flops) * std::pow(plan.ratio, steps);
      const Tokens tokens = tokens_for(Flops(flops), Params(params));
      const double loss = kBaseLaw.loss(params, tokens.value);
      runs.push_back(
          {Params(params), tokens, tokens, Loss(loss * std::exp(plan.noise * stream.normal()))});
    }
  }
  return runs;
}

struct CurvesPlan {
  double run_noise = 0;         // of ln L, shared by the checkpoints of a run
  double checkpoint_noise = 0;  // of ln L, of each checkpoint
  std::uint64_t seed = 1;
  int sizes = 10;  // from 5e7 parameters
  double ratio = 1.6;
  int horizons = 4;  // of each size: 16, 32, … tokens a parameter
  int checkpoints = 25;
};

// Training curves that follow the law at every checkpoint, as with a learning rate that has come
// down.
inline std::vector<fit::Observation> training_curves(const CurvesPlan& plan) {
  Stream stream(plan.seed, StreamId::starts);
  std::vector<fit::Observation> rows;
  for (int size = 0; size < plan.sizes; ++size)
    for (int horizon = 0; horizon < plan.horizons; ++horizon) {
      const double params = 5e7 * std::pow(plan.ratio, size);
      const double end = params * 16 * std::pow(2, horizon);
      const double shared = plan.run_noise * stream.normal();
      for (int k = 0; k < plan.checkpoints; ++k) {
        const Tokens tokens(end * std::pow(0.02, 1 - k / (plan.checkpoints - 1.0)));
        const double noise = shared + plan.checkpoint_noise * stream.normal();
        rows.push_back({.params = Params(params),
                        .tokens = tokens,
                        .unique = tokens,
                        .loss = Loss(kBaseLaw.loss(params, tokens.value) * std::exp(noise)),
                        .run = std::to_string(size) + "/" + std::to_string(horizon)});
      }
    }
  return rows;
}

}  // namespace ration::test
