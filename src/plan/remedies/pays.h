#pragma once

// From where to where a remedy pays. Private to the folder.

#include <optional>
#include <span>

#include "plan/remedies/row.h"

namespace ration::plan {

// Under the quality that was measured at one setting, by the law at its best fit. Of filters: a
// kept token is worth q fresh ones, and the kept part is repeated sooner. Of mixing: an added token
// stays worth eta, and target tokens are repeated less. Nothing for other kinds, whose worth at
// another length no law knows.
std::optional<Pays> pays_by_law(const fit::Fit& fit, const Priced& priced);

// Between the epochs that one arm was measured at: `rows` are of one arm, size and U_0, by
// ascending tokens; straight in (ln D, ln m).
Pays pays_as_measured(std::span<const PriceRow* const> rows);

}  // namespace ration::plan
