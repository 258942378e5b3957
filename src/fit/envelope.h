#pragma once

// The envelope of training curves: at each compute the lowest loss that any curve has reached
// there, and the model size that reached it; a line through these gives N_opt = k C^p.
//
//   Result<Envelope> found = fit_envelope(checkpoints, {});
//   if (!found) return std::move(found).error();
//   if (found->line) print(found->line->exponent(), found->line->at(Flops(1e21)).params);
//
// 1. Curves. Rows that name one run are its checkpoints; C = 6 N D. The losses of a curve are
// smoothed by
//    local lines over ln C with normal weights of width `smooth`, then interpolated
//    (interpolant.h). A curve is not carried beyond its checkpoints.
// 2. Winners. At each of `grid` values of C, log-spaced over all curves, the curve with the least
//    loss. Winners of the least or the most parameters among the curves that reach this C are
//    discarded, for a still smaller or larger model might have won; not so where the same size has
//    beaten a smaller one at less compute, or beats a larger one at more.
// 3. Line: least squares of ln N on ln C. Each size enters once, at the mean ln C of its winners,
// and counts
//    by their number. (The sizes rise in steps: a regression over the winners themselves is too
//    flat by the part of the variance of ln C that lies within the steps, 1/K^2 for K equal ones.
//    It is `plain_exponent`.)
// 4. Intervals: curves are drawn with replacement, and 2 and 3 are repeated.
//
// Valid only where the learning rate of every curve has come down at the compute where the curve
// wins: a curve with a schedule for a longer run lies too high before its end ("Training
// Compute-Optimal Large Language Models", 2022, approach 1, which is the source of the procedure).
//
// Cost: 60 curves of 20 checkpoints, 1500 values of C and 400 draws take about 50 ms on one core.
// Results do not depend on the number of threads or on the order of the rows.

#include "fit/draws.h"
#include "fit/optimum_line.h"

namespace ration::fit {

struct EnvelopeOptions {
  // Values of C, 100 to 100000. 1500 are the published choice; the steps between sizes are then
  // placed within a hundredth of a usual step.
  int grid = 1500;

  // Standard width of the smoothing in ln C, 0 (none) to 1. 0.1 averages checkpoints within a tenth
  // of their compute, over which a curve is straight.
  double smooth = 0.1;

  // Of the curves, behind the intervals: 0 (none) to 100000. 400 place the ends of a 90 % interval
  // within about a tenth of its width.
  DrawOptions draws = {.resamples = 400};
};

std::vector<Error> check(const EnvelopeOptions& options);

// The winner at one compute.
struct EnvelopePoint {
  Flops flops;
  Params params;
  Loss loss;                // smoothed
  std::string run;          // the curve's
  bool edge = false;        // discarded, see 2
  bool before_end = false;  // the curve goes on to more than 1.1 times this compute
};

// A size that wins somewhere, edges left out.
struct EnvelopeStep {
  Params params;
  Flops center;  // geometric mean of the compute of its winners
  Span flops;    // least and most of it
  int winners = 0;
};

struct Envelope {
  int curves = 0;                     // taken
  int sizes = 0;                      // distinct numbers of parameters among them
  int short_curves = 0;               // runs of fewer than 4 checkpoints, left out
  int single_rows = 0;                // rows that are no checkpoint of a run, left out
  std::vector<EnvelopePoint> points;  // ascending compute
  std::vector<EnvelopeStep> steps;    // ascending sizes
  double before_end = 0;              // share of the winners that count whose curve goes on
  std::optional<OptimumLine> line;    // nothing where fewer than two sizes win
  double plain_exponent = 0;          // of the regression over single winners
  double interval = 0;
  std::uint64_t seed = 0;
  std::vector<Doubt> doubts;
  std::string source, params_convention = "as given";  // as Fit has them

  bool trusted() const;
};

// Errors: check(options); unusable rows, runs whose rows differ in parameters, no run of 4
// checkpoints (ErrorKind::input, all named). What came out but is not to be trusted has a fatal
// doubt: fewer than two sizes that win inside the range, an exponent that is left open.
Result<Envelope> fit_envelope(std::span<const Observation> checkpoints,
                              const EnvelopeOptions& options = {});

}  // namespace ration::fit
