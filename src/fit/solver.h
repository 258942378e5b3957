#pragma once

// One local minimum from one start, in three steps, so that a search can drop or join starts
// between them. Least squares first, where the start misses the losses by more than a constant
// would, for beyond its knee a Huber loss knows only the signs of its residuals; then re-weighted
// squares, both by Ceres' TinySolver; at last a projected Newton iteration, because near the
// minimum most residuals lie outside the knee and only the true curvature converges fast. It keeps
// the bounds. Every test of convergence is relative to the objective or to the curvature: scaling
// the objective changes nothing.

#include "fit/objective.h"

namespace ration::fit {

enum class Stop {
  unfinished,  // not finished yet
  converged,   // the next step would lower the objective by less than 1e-13 of it, or r = 0
               // throughout
  stalled,     // no step lowers the objective further, though the model says it should: rounding
  iterations,  // the limit of iterations was reached first
  not_finite,  // the law has no finite value at the start
};
std::string_view describe(Stop stop);

struct Minimum {
  Coordinates x;
  double objective = HUGE_VAL;
  Stop stop = Stop::not_finite;
  int iterations = 0;
  // The fall of the objective that one more Newton step promises, relative to it.
  double promised_fall = 0;
};

struct SolverOptions {
  int descent_iterations = 60;  // of least squares, at most; typically 5 to 20
  int newton_iterations = 100;  // at most; typically 3 to 15
};

// Step one. A start without a finite value says so in `stop`; one that is near stays where it is.
Minimum approach(const Problem& problem, Coordinates start, const SolverOptions& options = {});
// Step two, which ends near a minimum.
void descend(const Problem& problem, Minimum& minimum, const SolverOptions& options = {});
// Step three: sets `stop` and `promised_fall`.
void finish(const Problem& problem, Minimum& minimum, const SolverOptions& options = {});

// All three.
Minimum minimise(const Problem& problem, Coordinates start, const SolverOptions& options = {});

}  // namespace ration::fit
