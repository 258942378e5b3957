#pragma once

// The coordinate check of a parametrisation: how large the numbers inside a model are after a few
// steps, by width. Under mup they do not depend on it; under the standard one they grow.

#include <string>
#include <vector>

#include "run/spec.h"

namespace ration::train {

struct Coordinate {
  std::string name;           // "embedding", "layer 0" …, "logits changed by"
  std::vector<double> sizes;  // mean magnitude at each width
  double spread() const;      // largest / smallest
};

// `spec` at each width (heads of the width that it has), after `steps` steps on drawn tokens.
std::vector<Coordinate> coordinate_check(const run::RunSpec& spec,
                                         const std::vector<std::int64_t>& widths,
                                         std::int64_t steps);

}  // namespace ration::train
