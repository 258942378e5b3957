#pragma once

// A plan as people read it: 80 columns, plain ASCII.

#include <optional>
#include <string>
#include <vector>

#include "plan/frontier.h"
#include "plan/needed.h"
#include "plan/plan.h"
#include "plan/repetition.h"

namespace ration::cli {

// The recommendation; its warnings stand apart, since they come last.
std::string plan_text(const plan::Plan& plan, const fit::Fit& fit);
std::string warnings_text(const plan::Plan& plan);
// The compute that the loss asked for needs.
std::string needed_text(const plan::Needed& needed);
// What more data would buy against more compute, and when a repeat is worth half a fresh token.
std::string outlook_text(const std::optional<plan::Exchange>& exchange,
                         const plan::Repetition& repetition);
// What each epoch buys, as a table.
std::string repetition_text(const plan::Repetition& repetition);
std::string frontier_text(const std::vector<plan::FrontierPoint>& points, const fit::Fit& fit);

}  // namespace ration::cli
