#pragma once

// `ration plan --next`: from a sweep or a table of candidates to the runs worth training.

#include "cli/option_reader.h"
#include "fit/design.h"
#include "fit/fit.h"
#include "plan/plan.h"

namespace ration::cli {

std::vector<Option> next_options();

// What --gain names.
std::optional<fit::Gain> asked_gain(OptionReader& read);

// Prints the choice; with --output writes a sweep of it, or a table where the candidates were one.
Result<int> run_plan_next(const Arguments& arguments,
                          const fit::Fit& fit,
                          const plan::Request& request);

}  // namespace ration::cli
