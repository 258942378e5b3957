#pragma once

// A fit and a plan as people read them: 80 columns, plain ASCII.

#include <string>
#include <vector>

#include "fit/fit.h"
#include "plan/plan.h"

namespace ration::cli {

std::string fit_text(const fit::Fit& fit);
// The laws that were weighed, the chosen one first.
std::string choice_text(const fit::Fit& fit);

std::string comparison_text(const std::vector<fit::Fit>& fits);
std::string plan_text(const plan::Plan& plan, const fit::Fit& fit);

}  // namespace ration::cli
