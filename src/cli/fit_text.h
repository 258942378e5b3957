#pragma once

// A fit as people read it: 80 columns, plain ASCII.

#include <span>
#include <string>
#include <vector>

#include "fit/fit.h"

namespace ration::cli {

std::string fit_text(const fit::Fit& fit);
// The laws that were weighed, the chosen one first.
std::string choice_text(const fit::Fit& fit);

std::string comparison_text(const std::vector<fit::Fit>& fits);
// One line a doubt, fatal ones marked; empty without any.
std::string doubts_text(std::span<const fit::Doubt> doubts);
// 0.9 -> "90 %".
std::string percent(double share);
// A line that says what N stands for, where that is known; else empty.
std::string convention_text(const fit::Fit& fit);

}  // namespace ration::cli
