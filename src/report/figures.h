#pragma once

// The figures of a report, as Vega-Lite specifications.

#include <span>

#include "fit/fit.h"
#include "plan/frontier.h"
#include "plan/repetition.h"
#include "report/page.h"

namespace ration::report {

// Predicted loss against epochs within the plan's limits, with its interval, the
// recommendation and the plan that ignores repetition.
Figure budget_figure(const fit::Fit& fit, const plan::Plan& plan);

// Loss and the worth of a repeated token against epochs, at one model size.
Figure epochs_figure(const fit::Fit& fit, const plan::Repetition& repetition);

// The least loss, and the epochs that reach it, against compute.
Figure frontier_figure(const fit::Fit& fit, std::span<const plan::FrontierPoint> points);

// Every run and the law through it: loss against epochs, one panel for each amount of unique
// tokens, one line for each model size.
Figure runs_figure(const fit::Fit& fit, std::span<const fit::Observation> runs);

// Relative residuals ln(measured) - ln(predicted) against the predicted loss; a pattern means that
// the law does not hold.
Figure residuals_figure(const fit::Fit& fit, std::span<const fit::Observation> runs);

}  // namespace ration::report
