#pragma once

// Spends a compute budget on a fitted law: which model size, how many tokens, how many epochs.
//
//   Result<Plan> plan = make_plan(fit, {.budget = Flops(1e21), .unique = Tokens(25e9)});
//   print(plan->best.params.value, plan->best.epochs.low, plan->best.epochs.high);
//
// Along 6 N D = C, or whatever else a request limits (request.h), the loss is a function of ln N
// alone; it is bracketed on a grid over the whole range of model sizes and minimised by Brent's
// method, without assuming one minimum. No fitting happens here. Cost: 20 ms for a fit with 400
// bootstrap draws.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/units.h"
#include "fit/fit.h"
#include "plan/request.h"

namespace ration::plan {

// A number with its interval; no interval when the fit has no draws.
struct Amount {
  double value = 0;
  std::optional<double> low, high;
};

struct Allocation {
  Amount params;
  Amount tokens;  // seen, repeats included
  Amount epochs;  // over all unique tokens; below 1 where not all are used
  // Predicted for this allocation: its interval shows how uncertain the law is there.
  Amount loss;
};

// The least loss within the limits for one set of coordinates, and which of them bind there.
struct Optimum {
  double params = 0, tokens = 0, epochs = 0, loss = 0;
  bool at_end = false;  // at the smallest or largest model searched
  bool at_max_epochs = false;
  bool at_max_params = false;
  bool at_max_time = false;
  // More compute on these tokens would raise the loss: less than the budget is spent.
  bool at_harm = false;
};

// How often a pool is repeated in the recommended allocation.
struct PoolUse {
  std::string name;
  double share = 0;  // of the training tokens
  double tokens = 0, epochs = 0;
};

struct Valley {
  double tolerance = 0;
  fit::Span params, tokens, epochs;
};

// What another minimum of the fit, as good as the best within the noise, would recommend.
struct Alternative {
  double objective_ratio = 1;  // to the best minimum's
  Optimum optimum;
};

// What one of the laws and minima that are averaged recommends (fit/average.h).
struct Opinion {
  const fit::Law* law = nullptr;
  double weight = 0;  // all add up to 1
  bool near = true;   // as credible as the fit's law: a minimum of it, or a law within reach
  Optimum optimum;
};

// The allocation with the least loss, averaged over all opinions. Its intervals are those of the
// mixture: each bootstrap refit of each law counts by the law's weight.
struct AveragedPlan {
  Allocation best;
  std::vector<Opinion> opinions;  // the fit's law at its best minimum first
};

// What another law that was weighed would recommend.
struct OtherLaw {
  const fit::Law* law = nullptr;
  double distance = 0;  // from the median of all laws (fit::Candidate)
  Optimum optimum;
};

struct Plan {
  Request request;
  Optimum optimum;
  Allocation best;      // the same, with intervals
  Allocation baseline;  // what the law without repetition recommends, judged by the law with it
  double flops = 0;     // 6 N D of the recommended allocation
  std::optional<double> seconds;  // of its training, where speeds are given
  std::vector<PoolUse> pools;
  // Loss of the best allocation if all pools were drawn in proportion to their sizes; where pools
  // have shares.
  std::optional<double> proportional_loss;
  Valley valley;
  std::vector<Alternative> alternatives;  // one for each further minimum
  std::optional<AveragedPlan> average;    // where there are several minima or laws
  std::vector<OtherLaw> other_laws;       // of a fit whose law was chosen; the nearest first
  std::vector<std::string> warnings;
};

// The optimum for given coordinates of a law; `points` is the size of the first grid, at least 8.
Optimum optimise(const fit::Law& law,
                 std::span<const double> x,
                 const Request& request,
                 std::size_t points = 4000);

// The allocations around an optimum that the same limits allow, by ascending model size: `points`
// of them from 1/`factor` to `factor` times its parameters. Fewer where the range ends; one where
// the request fixes the parameters.
std::vector<Allocation> trace(const fit::Fit& fit,
                              const Request& request,
                              double params,
                              double factor = 36,
                              std::size_t points = 160);

// The loss in nats of one allocation.
double loss_of(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Tokens unique);

// Whether plans can be made with a law: not with one in one variable (ErrorKind::usage).
Result<void> check(const fit::Law& law);

// Errors: check(request), check(law). A fit that is not trusted
// is planned with all the same; the caller decides.
Result<Plan> make_plan(const fit::Fit& fit, const Request& request);

// The document ration.plan/1 (docs/planning.md).
Json to_json(const Plan& plan, const fit::Fit& fit);

}  // namespace ration::plan
