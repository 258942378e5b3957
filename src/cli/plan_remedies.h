#pragma once

// `ration plan --remedies`: the plan with what a price list says pays.

#include "cli/command.h"
#include "fit/fit.h"
#include "plan/plan.h"
#include "plan/remedies/price.h"

namespace ration::cli {

std::vector<Option> remedies_options();

// Problems of options that do not go with --remedies; nothing without it.
std::vector<Error> remedies_conflicts(const Arguments& arguments);

// A document ration.remedies/1.
Result<plan::PriceList> read_price_list(const std::string& file);

// Reads the list that --remedies names, plans and prints; --figure draws the list.
Result<int> run_plan_remedies(const Arguments& arguments,
                              const fit::Fit& fit,
                              const plan::Request& request);

}  // namespace ration::cli
