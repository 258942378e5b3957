#pragma once

// Models in two dimensions, for figures.

#include <cstddef>
#include <span>
#include <vector>

namespace ration::region {

struct PlaneMap {
  std::vector<double> x, y;
  double share = 0;  // of the variance that the two axes hold
};

// Classical multidimensional scaling (Torgerson 1952) of squared distances [n, n]: coordinates
// whose distances are nearest to these, each axis with its largest entry above 0. All 0, and no
// share, where no two models differ.
PlaneMap plane_map(std::span<const double> squares, std::size_t n);

}  // namespace ration::region
