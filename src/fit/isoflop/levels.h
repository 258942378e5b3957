#pragma once

// Runs of nearly equal compute as levels, each with its profile (isoflop.h, 1 and 2).

#include <vector>

#include "fit/isoflop/profile.h"

namespace ration::fit {

// The last checkpoint of each run.
std::vector<Observation> last_rows(std::vector<Observation> rows);

// Ascending compute. `tolerance`: share by which the compute of a level's runs may differ.
std::vector<IsoflopLevel> levels_of(std::vector<Observation> runs, double tolerance);

// The profile of every level, its losses brought to the level's compute. `designs`: one a level.
void fit_levels(ProfileCurve curve,
                const std::vector<Design>& designs,
                std::vector<IsoflopLevel>& levels);

}  // namespace ration::fit
