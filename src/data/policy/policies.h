#pragma once

// The policies behind make_policy().

#include "data/policy/policy.h"

namespace ration::data {

std::unique_ptr<Policy> make_fixed_policy(const PolicyOptions& options);
std::unique_ptr<Policy> make_exponential_policy(const PolicyOptions& options);  // exp3, odm
std::unique_ptr<Policy> make_ucb1_policy(const PolicyOptions& options);

}  // namespace ration::data
