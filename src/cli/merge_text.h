#pragma once

// Comparisons of models as tables and JSON.

#include <string>
#include <vector>

#include "base/json.h"
#include "merge/compare.h"

namespace ration::cli {

// A row a tensor and one for all: elements, each model's ||tau|| (||theta|| without a base), and of
// several models the mean cosine of pairs and the shares of sign conflicts, the second after
// trimming where k < 1.
std::string comparison_table(const std::vector<merge::Comparison>& rows, double k, bool has_base);
Json comparison_json(const std::vector<merge::Comparison>& rows);

}  // namespace ration::cli
