#pragma once

// What is to be doubted about profiles and their line.

#include <vector>

#include "fit/isoflop.h"

namespace ration::fit {

std::vector<Doubt> doubts_of(const Isoflop& found);

}  // namespace ration::fit
