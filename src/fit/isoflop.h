#pragma once

// IsoFLOP profiles: at each of a few levels of compute, the loss against model size has a lowest
// place; a line through these gives N_opt = k C^p. No law is assumed beyond that line, so it is a
// check of one.
//
//   Result<Isoflop> found = fit_isoflop(runs, {});
//   if (!found) return std::move(found).error();
//   if (found->line) print(found->line->exponent(), found->line->at(Flops(1e21)).params);
//
// 1. Levels. C = 6 N D. The window of ln C of width ln(1 + tolerance) that holds most runs is a
// level,
//    then the window that holds most of the rest, and so on. A level's C is the geometric mean of
//    its runs'. Losses are brought to it along d ln L / d ln C, the slope of the least losses over
//    the levels.
// 2. Profiles. Parabola: L = c0 + c1 x + c2 x^2, x = ln N, least squares; x* = -c1 / (2 c2). It is
//    rejected, with the reason kept, where sizes are fewer than 3, c2 <= 0, or x* lies outside the
//    sizes. Akima: the lowest place of an interpolant of ln L over x (interpolant.h, 4 sizes).
// 3. Error of x*: losses are drawn again with their noise and the profile is fitted again (half the
//    distance between the percentiles 15.87 and 84.13), or by the delta method with the gradient
//    (-1/(2 c2), c1/(2 c2^2)) in (c1, c2). At least a third of the mean step between sizes.
// 4. Line: least squares of x* on ln C with weights 1/error^2. For intervals the draws of 3 go
// through it,
//    each vertex moved by a normal number as large as the scatter about the line that the draws do
//    not explain (the floor of 3 weighs levels but is no noise). Fewer than four levels do not show
//    that scatter; there the draws are moved by what the floor adds to the error.
//
// Sources: "Training Compute-Optimal Large Language Models" (2022), approach 2; "Resolving
// Discrepancies in Compute-Optimal Scaling of Language Models" (2024) for the interpolant, the
// growing noise, the floor and the weights.
//
// Cost: 240 runs with 1000 draws take about 20 ms as parabolas on one core, 50 ms as interpolants.
// Results do not depend on the number of threads or on the order of the runs.

#include "fit/draws.h"
#include "fit/optimum_line.h"

namespace ration::fit {

enum class ProfileCurve { parabola, akima };
enum class VertexError { redraw, delta };
enum class Noise {
  estimated,  // from replicas that leave 5 degrees of freedom or more, else from the parabolas'
              // residuals
  given,      // noise_sd
  growing     // 0.005 nats up to a loss of 3, 0.1 from 6 on, a line in ln and ln between
};

constexpr int kFewestIsoflopDraws = 100;  // percentiles of fewer say nothing

struct IsoflopOptions {
  // The parabola averages noise away and is biased where the sizes reach further to one side of x*
  // than to the other; the interpolant follows any shape, and the noise with it.
  ProfileCurve curve = ProfileCurve::parabola;

  // Runs of one level differ in compute by at most this share, 0 to 1. 0.2 takes in levels whose
  // compute was rounded to a digit or read off a figure; planned levels agree within 0.01.
  double tolerance = 0.2;

  // The delta method is for parabolas and needs no draws; it is too narrow where c2 is uncertain.
  VertexError error = VertexError::redraw;

  // Noise of a run's loss between seeds, and its standard deviation of ln L where it is given:
  // above 0, at most 1.
  Noise noise = Noise::estimated;
  double noise_sd = 0;

  // Of the losses, behind errors and intervals: kFewestIsoflopDraws or more. 1000 place the ends of
  // a 90 % interval within a twentieth of its width.
  DrawOptions draws = {.resamples = 1000};
};

std::vector<Error> check(const IsoflopOptions& options);

// A parabola c0 + c1 u + c2 u^2 of the loss in u = ln N - center.
struct Parabola {
  double center = 0, c0 = 0, c1 = 0, c2 = 0;

  double loss(double log_params) const;
};

struct IsoflopLevel {
  Flops flops;                    // geometric mean of the runs'
  Span range;                     // least and most FLOPs among them
  std::vector<Observation> runs;  // ascending sizes
  double slope = 0;               // d ln L / d ln C of the least losses here
  std::vector<double> losses;     // of the runs, in nats, brought to `flops`
  int sizes = 0;                  // distinct numbers of parameters
  Parabola parabola;              // least squares; zeros where sizes are fewer than 3

  std::string rejected;    // why the level has no vertex; empty where it has one
  Params vertex;           // exp(x*)
  Loss least;              // loss there
  double error = 0;        // of x*, floor included
  double drawn_error = 0;  // without the floor
  double lopsided = 1;     // ln N from x* to the further end of the sizes, over that to the nearer
  double found = 1;        // share of draws in which the profile has a vertex
};

struct Isoflop {
  ProfileCurve curve = ProfileCurve::parabola;
  std::vector<IsoflopLevel> levels;  // ascending compute; those of fewer than 3 sizes included
  int runs = 0;
  int earlier = 0;  // checkpoints before the last of their run, left out
  double tolerance = 0;
  double noise = 0;  // root mean square of the noise of ln L over the runs; 0 = unknown
  std::string noise_source;
  int noise_freedom = 0;            // degrees of freedom behind an estimate
  double scatter = 0;               // of ln N_opt about the line, beyond the noise of the losses
  bool scatter_known = false;       // four levels or more have a vertex
  std::optional<OptimumLine> line;  // nothing where fewer than two levels have a vertex
  double interval = 0;
  std::uint64_t seed = 0;
  std::vector<Doubt> doubts;
  std::string source, params_convention = "as given";  // as Fit has them

  bool trusted() const;
  int used() const;  // levels with a vertex
};

// Of runs with several rows (checkpoints) the last counts. Errors: check(options); unusable runs
// (ErrorKind::input, all named). What came out but is not to be trusted has a fatal doubt: fewer
// than two levels with a vertex, an exponent that is left open.
Result<Isoflop> fit_isoflop(std::span<const Observation> runs, const IsoflopOptions& options = {});

}  // namespace ration::fit
