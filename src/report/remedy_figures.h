#pragma once

// Figures of a price list of remedies.

#include "plan/remedies/price.h"
#include "report/page.h"

namespace ration::report {

// A forest plot: the multiplier of each remedy with its interval on a logarithmic axis, a panel for
// each size, faint where it is not claimed. An interval that is open ends at its point.
Figure forest_figure(const plan::PriceList& list);

}  // namespace ration::report
