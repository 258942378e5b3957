#pragma once

// The noise of a run's loss between seeds.

#include <vector>

#include "fit/isoflop.h"

namespace ration::fit {

// noise, noise_source and noise_freedom of `found`, whose levels have their profiles.
void find_noise(const IsoflopOptions& options, Isoflop& found);

// Standard deviation of ln L of each run of a level.
std::vector<double> noise_of(const IsoflopOptions& options,
                             const Isoflop& found,
                             const IsoflopLevel& level);

}  // namespace ration::fit
