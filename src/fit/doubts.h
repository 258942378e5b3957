#pragma once

// What a fit's reader must know before believing it. The rules stand in docs/fitting.md.

#include "fit/fit.h"
#include "fit/objective.h"

namespace ration::fit {

// Values and intervals of the parameters, with open sides where the runs leave them open.
std::vector<Estimate> estimates(const Problem& problem, const Coordinates& best, const Fit& fit);

// All doubts on a fit whose other members are filled in.
std::vector<Doubt> find_doubts(const Problem& problem, const Fit& fit, int resamples);

}  // namespace ration::fit
