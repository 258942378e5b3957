#pragma once

// What is wrong with what is to be priced. Private to the folder.

#include <span>
#include <string>
#include <vector>

#include "plan/remedies/price.h"

namespace ration::plan {

// Problems of arms, then of runs (ErrorKind::input).
std::vector<Error> problems_of(std::span<const RemedyRun> runs,
                               const std::string& baseline,
                               std::span<const Arm> arms);

}  // namespace ration::plan
