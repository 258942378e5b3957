#pragma once

// Whether two runs train the same kind of model.

#include <string>

#include "run/spec.h"

namespace ration::run {

// Every setting by which `theirs` is another function of its tensors than `spec`: "layers (2 and
// 4), tied (true and false)"; empty when there is none.
std::string architecture_differences(const RunSpec& theirs, const RunSpec& spec);

}  // namespace ration::run
