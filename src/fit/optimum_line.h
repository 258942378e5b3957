#pragma once

// The line that ends the classical procedures (isoflop.h, envelope.h): N_opt = k C^p, by regression
// of ln N on ln C, and D_opt = C / (6 N_opt), so that D_opt grows with C^(1-p).
//
//   std::optional<PowerLine> line = regress(log_flops, log_params, weights);
//   double params = std::exp(line->log_params(std::log(1e21)));
//
// Source: "Training Compute-Optimal Large Language Models" (2022), approaches 1 and 2; under its
// law L = E + A N^-alpha + B D^-beta, p is beta/(alpha+beta).

#include <optional>
#include <span>
#include <vector>

#include "fit/fit.h"

namespace ration::fit {

struct PowerLine {
  double log_k = 0;     // ln k: k in parameters, C in FLOPs
  double exponent = 0;  // p

  double log_params(double log_flops) const { return log_k + exponent * log_flops; }
};

// Least squares with `weights` (above 0). Nothing where fewer than two values of ln C differ.
std::optional<PowerLine> regress(std::span<const double> log_flops,
                                 std::span<const double> log_params,
                                 std::span<const double> weights);

// What a line recommends for a budget.
struct BudgetOptimum {
  Flops budget;
  Prediction params;             // N_opt
  Prediction tokens;             // D_opt = C / (6 N_opt)
  Prediction tokens_per_params;  // D_opt / N_opt
};

struct OptimumLine {
  PowerLine best;
  std::vector<PowerLine> draws;  // of the bootstrap; order of seed and number
  int failed = 0;                // draws through which no line goes
  double interval = 0;           // probability between the percentiles below
  Span flops;                    // what the regression saw; beyond it the line extrapolates

  Prediction exponent() const;
  Prediction k() const;
  BudgetOptimum at(Flops budget) const;
};

// Doubts about a line as such: draws that failed, and an exponent that the runs leave open (fatal).
std::vector<Doubt> line_doubts(const OptimumLine& line);

// How far a budget lies beyond what the regression saw; nothing within it.
std::optional<Doubt> extrapolation(const OptimumLine& line, Flops budget);

}  // namespace ration::fit
