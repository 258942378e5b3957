#pragma once

// The least compute whose plan reaches a loss: plan.h the other way around.

#include <optional>
#include <span>

#include "plan/plan.h"

namespace ration::plan {

// FLOPs. A budget without an upper end: some refits never reach the loss on these tokens.
struct Needed {
  Amount budget;  // by the fit's law; its interval over the bootstrap draws
  std::optional<Amount>
      average;  // over all laws and minima (fit/average.h), where there are several
};

// Everything but `request.budget` limits as in make_plan(). Exact to 1e-6 relative, the ends of
// intervals to 1e-3.
// Errors: check(request), a law in one variable, and a loss that the fit's law reaches with no
// budget from 1e6 to 1e32 FLOPs (ErrorKind::usage; names the least one that is reached).
Result<Needed> budget_for(const fit::Fit& fit, const Request& request, Loss loss);

// The first of these for one set of coordinates: the least compute that reaches a loss, nothing
// where no budget up to 1e32 FLOPs does. Needs check(request) to be empty but for the budget, and a
// law in both variables. About 5 ms.
std::optional<Flops> least_budget(const fit::Law& law,
                                  std::span<const double> x,
                                  const Request& request,
                                  Loss loss);

// {"budget": {value, low, high}, "average": the same or null}
Json to_json(const Needed& needed);

}  // namespace ration::plan
