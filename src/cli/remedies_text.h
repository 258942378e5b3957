#pragma once

// A price list of remedies, and the plan that uses it, as people read them: 80 columns, plain
// ASCII.

#include <string>

#include "plan/remedies/combine.h"
#include "plan/remedies/price.h"

namespace ration::cli {

// The table, a line below each row with what must be known before its number is used, then what
// rows say together, and what all of it takes for granted.
std::string remedies_text(const plan::PriceList& list);

std::string remedied_plan_text(const plan::RemediedPlan& plan,
                               const plan::PriceList& list,
                               const fit::Fit& fit);

}  // namespace ration::cli
