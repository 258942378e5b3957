#pragma once

// Equivalent unique tokens: how many unique tokens, repeated under the same compute, would have
// given a loss. One scale for everything that is tried against a shortage of text.
//
//   const Setting run{Params(2.8e9), Tokens(55e9), Tokens(5.5e9)};  // 10 epochs
//   const double loss = loss_of(*fit.law, x, run.params, run.tokens, run.unique);
//   Result<Effective> e = effective(*fit.law, x, run, Loss(loss - 0.02));
//   print(e->unique.value, e->multiplier);  // 6.9e9: as good as 1.26 times the unique tokens
//
// Works with every law that describes repetition: all roots are found on Law::evaluate, no form is
// assumed. Symbols: N parameters, D tokens seen, U unique tokens, L loss (nats a token), C = 6 N D.
// Source of the law and of "effective" tokens: "Scaling Data-Constrained Language Models" (2023).
// Cost: about 50 us; the least compute about 10 ms more.

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/units.h"
#include "fit/law.h"

namespace ration::plan {

// Where a run without a remedy stands: all above 0, `unique` at most `tokens`.
struct Setting {
  Params params;
  Tokens tokens;  // seen, repeats included
  Tokens unique;  // U_0
};

struct Effective {
  // U_eq: L(N, c D, U_eq) = the loss, with U_eq at most c D. Where `saturated`, c D: no number of
  // unique tokens gives the loss at this compute, and both numbers are bounds from below.
  Tokens unique;
  double multiplier = 0;  // m = U_eq / U_0
  bool saturated = false;
  double slope = 0;  // g = dL/d ln U at U_eq, nats, at most 0

  // D_eq: fresh tokens of one epoch that give the loss, with the parameters as useful as c D
  // unique tokens make them. Nothing where no number of tokens does.
  std::optional<Tokens> fresh;

  // e_eq: epochs of U_0 at N parameters that give the loss; nothing where no number up to 1e6 does.
  std::optional<Epochs> epochs;
};

// `compute` c > 0: what the run that had the loss cost, relative to `baseline`; it is compared with
// a repetition that costs as much, so of c D tokens.
// Errors: a law that does not describe repetition; a setting, loss or c that is not finite and
// above 0 (ErrorKind::usage).
Result<Effective> effective(const fit::Law& law,
                            std::span<const double> x,
                            const Setting& baseline,
                            Loss loss,
                            double compute = 1);

// c_eq: the least 6 N' D' over all sizes with L(N', D', U_0) = loss, divided by `used`. Nothing:
// unreachable by repetition, however much compute is spent (up to 1e32 FLOPs are looked at).
std::optional<double> compute_multiplier(
    const fit::Law& law, std::span<const double> x, Tokens unique, Loss loss, Flops used);

// D_eq of a loss alone, at N parameters that are as useful as `tokens` unique tokens make them.
std::optional<Tokens> fresh_tokens(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Loss loss);

// The other way around: the loss of so many fresh tokens.
Loss loss_of_fresh(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Tokens fresh);

// Standard deviation of ln U_eq that an error of the loss leaves; infinite where the slope is 0.
double log_unique_error(double slope, double loss_error);

// Paired seeds after which ln U_eq has the deviation `wanted`: (sd_seed sqrt 2 / (g wanted))^2,
// rounded up and at least 2. `seed_deviation`: of single runs that differ in their seed, nats.
// Nothing where the slope is 0.
std::optional<std::int64_t> seeds_needed(double slope, double seed_deviation, double wanted);

}  // namespace ration::plan
