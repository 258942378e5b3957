#pragma once

// One local minimum from one start: Ceres' TinySolver descends, a projected Newton iteration
// finishes.
//
// TinySolver minimises squares, so it is given t(r) = sign(r) sqrt(2 h(r)), whose squares sum to
// the objective exactly. Near the minimum most residuals lie outside the Huber knee, where that
// surrogate's curvature is wrong and the descent slow; Newton with the true curvature then needs a
// few steps, and keeps the bounds. Every test of convergence is relative to the objective or to the
// curvature: scaling the objective changes nothing.

#include "fit/objective.h"

namespace ration::fit {

enum class Stop {
  unfinished,  // descended only
  converged,   // the next step would lower the objective by less than 1e-13 of it, or r = 0
               // throughout
  stalled,     // no step lowers the objective further, though the model says it should: rounding
  iterations,  // the limit of iterations was reached first
  not_finite,  // the law has no finite value at the start
};
std::string_view describe(Stop stop);

struct Minimum {
  Coordinates x;
  double objective = 0;
  Stop stop = Stop::not_finite;
  int iterations = 0;
  // The fall of the objective that one more Newton step promises, relative to it.
  double promised_fall = 0;
};

struct SolverOptions {
  int descent_iterations = 60;  // of TinySolver, at most; typical descents take 10 to 40
  int newton_iterations = 100;  // at most; typically 3 to 15
};

// The two halves, for a search that drops hopeless starts between them: the descent, which ends
// near a minimum, and the finish, which sets `stop` and `promised_fall`.
Minimum descend(const Problem& problem, Coordinates start, const SolverOptions& options = {});
void finish(const Problem& problem, Minimum& minimum, const SolverOptions& options = {});

// Both halves.
Minimum minimise(const Problem& problem, Coordinates start, const SolverOptions& options = {});

}  // namespace ration::fit
