#pragma once

// The figures of a report, as Vega-Lite specifications.

#include <span>

#include "fit/fit.h"
#include "plan/plan.h"
#include "report/page.h"

namespace ration::report {

// Predicted loss against epochs at the plan's budget and unique tokens, with its interval, the
// recommendation and the plan that ignores repetition.
Figure budget_figure(const fit::Fit& fit, const plan::Plan& plan);

// Every run and the law through it: loss against epochs, one panel for each amount of unique
// tokens, one line for each model size.
Figure runs_figure(const fit::Fit& fit, std::span<const fit::Observation> runs);

// Relative residuals ln(measured) - ln(predicted) against the predicted loss; a pattern means that
// the law does not hold.
Figure residuals_figure(const fit::Fit& fit, std::span<const fit::Observation> runs);

}  // namespace ration::report
