#pragma once

// Which runs to train next, so that a plan becomes surer for the least compute.
//
//   NextRequest request{.plan = {.budget = Flops(1e21), .unique = Tokens(25e9)}};
//   request.choosing.spend = 1e19;
//   Result<NextRuns> next = choose_next(fit, candidates, request);
//
// The targets are what the plan asks of the law: its recommendation and both ends of the valley
// around it, under every mode of the fit (fit/design.h); or the settings that the request names.
// The laws are then weighed anew against the fit's runs, with a prior and a misfit (fit/belief.h).
// Cost: 0.25 s for 10 of 10,000, with four laws 0.6 s.

#include "fit/design.h"
#include "plan/plan.h"

namespace ration::plan {

struct NextRequest {
  Request plan;
  fit::Choosing choosing;

  fit::Misfit misfit;  // what the law may get wrong

  // The settings whose loss is to become surer; empty = the plan's recommendation.
  fit::Points targets = {};
};

struct NextRuns {
  fit::Selection selection;
  fit::Points targets;
  int modes = 0;     // beliefs: laws and minima that were kept apart
  double noise = 0;  // standard deviation of ln L of one run, under the most credible of them
};

// Candidates that equal a run of the fit in parameters, tokens and unique tokens are passed over.
// Errors: check(request.plan), wrong options (ErrorKind::usage); a fit that does not hold its runs
// (ErrorKind::input); nothing affordable (ErrorKind::input).
Result<NextRuns> choose_next(const fit::Fit& fit,
                             const fit::Points& candidates,
                             const NextRequest& request);

}  // namespace ration::plan
