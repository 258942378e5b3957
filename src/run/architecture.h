#pragma once

// Whether two runs train the same kind of model.

#include <span>
#include <string>
#include <string_view>

#include "run/spec.h"

namespace ration::run {

// Every setting by which `theirs` is another function of its tensors than `spec`: "layers (2 and
// 4), tied (true and false)"; empty when there is none.
std::string architecture_differences(const RunSpec& theirs, const RunSpec& spec);

// The settings of experts by which a model is another function; of interest where has_experts().
std::span<const std::string_view> expert_settings();

}  // namespace ration::run
