#pragma once

// From many local minima to what a fit reports: the best, those that the runs cannot tell from it,
// and refits on resampled runs.

#include <cstdint>
#include <vector>

#include "fit/fit.h"
#include "fit/solver.h"

namespace ration::fit {

struct SearchResult {
  std::vector<Minimum> minima;  // distinct and within the margin of the best; the best first
  Search report;
};

// An objective up to this multiple of the best one is within the noise of `runs` runs: twice the
// log-likelihood ratio n ln(objective / best) of the Laplace density stays below 3.84, the 95 %
// point of one degree of freedom.
// With squares (`least_squares`) the density is normal and the factor n: n ln(ratio) stays below
// it.
double near_minimum_ratio(double runs, bool least_squares);

// Descends from every start.
SearchResult search(const Problem& problem, const std::vector<Coordinates>& starts, int threads);

// Refits on `resamples` draws of whole cells with replacement, each from all `minima`. `cell_of[i]`
// is the cell of row i, 0 … cells-1. Draw k depends on the seed and k alone.
std::vector<Coordinates> bootstrap(const Problem& problem,
                                   const std::vector<Minimum>& minima,
                                   const std::vector<std::size_t>& cell_of,
                                   std::size_t cells,
                                   const Options& options);

}  // namespace ration::fit
