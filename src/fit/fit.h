#pragma once

// Fits a scaling law to finished runs and says how far it can be trusted. docs/fitting.md explains
// the choices.
//
//   std::vector<Observation> runs = …;
//   Result<Fit> fit = fit_law(runs, {.law = "data-constrained"});
//   if (!fit) return std::move(fit).error();
//   for (const Estimate& e : fit->parameters) print(e.name, e.value, e.low, e.high);
//
// Cost: 240 runs of the five-parameter law take about 0.15 s on one core, seven parameters about
// 0.9 s, most of it for the resamples. Results do not depend on the number of threads or on the
// order of the runs.

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "fit/law.h"

namespace ration::fit {

// One finished run.
struct Observation {
  Params params;
  Tokens tokens;  // seen in training, repeats included
  Tokens unique;  // distinct among them, at most `tokens`
  Loss loss;      // held out, nats a token, above 0
  // Runs that differ in chance alone (seed, subset of text) share a cell and are resampled
  // together; empty = the cell is given by the three counts.
  std::string cell = {};
  // Checkpoints of one run name it: they share its noise, so each counts 1/(number of them), and
  // they are resampled together. Empty = a run of its own.
  std::string run = {};
  double weight = 1;  // above 0; 2 counts as the run given twice
};

enum class Objective { huber, squares };
enum class Resample { settings, runs };
enum class Starts { spread, published };

struct Options {
  // Name of a law (law.h). The default is the one this program exists for.
  std::string law = "data-constrained";

  // Knee of the Huber loss in units of ln L, above 0. 1e-3 is the published choice and amounts to
  // least absolute deviations; use about the size of the noise (0.01 to 0.03) where seeds differ by
  // per cents.
  double delta = 1e-3;

  // What is minimised: sums of Huber losses, or of squares (delta is then not used), which one
  // run off the law can sway.
  Objective objective = Objective::huber;

  // Weight of runs whose loss the law predicts too high against those it predicts too low, 0.01 to
  // 100. Above 1 the law follows the best-tuned runs, for badly tuned ones only lie above it; it
  // then answers another question, so 1 is the default. 10 is what others have used.
  double asymmetry = 1;

  // Where the search starts from: spread by the law over its basins, or the grid of the law's
  // source (`chinchilla`: 4,500; `chinchilla-tied`: 400; `data-constrained`: 16).
  Starts starts = Starts::spread;

  // Starts from these instead, where there are any: refits of nearly the same runs.
  std::vector<Coordinates> start_from = {};

  // How fast runs fade with their distance below the most expensive one: a run of 1/e^focus of its
  // compute counts 1/e. Infinite = none fades. No law holds over six orders of compute; 3 (a factor
  // of 20) to 6 lets the runs decide that are nearest to what is asked. Above 0.
  double focus = HUGE_VAL;

  // Bootstrap refits, 0 to 100000; 0 gives no intervals. 400 place the ends of a 90 % interval
  // within about a tenth of its width.
  int resamples = 400;

  // What the bootstrap draws: settings (equal cells stay together), or single runs, which suits
  // tables where replicas are the only noise.
  Resample resample = Resample::settings;

  // Values of each parameter at which its profile is taken, 0 (none) or 3 to 1000. 25 place the
  // ends of an interval within a few per cents of its width.
  int profile_points = 25;

  // Probability inside the intervals, above 0 and below 1.
  double interval = 0.90;

  // Seed of the resamples: equal seeds, equal intervals.
  std::uint64_t seed = 0;

  // Worker threads, 0 = as many as there are cores. Changes no number.
  int threads = 0;

  // Parameters held at given values, by name and in natural units; a published base law with free
  // decay constants is the two-stage fit of the literature.
  std::vector<std::pair<std::string, double>> fixed = {};
};

std::vector<Error> check(const Options& options);

struct Estimate {
  std::string name;
  double value = 0;           // natural units: A, B, E in nats a token
  std::optional<double> low;  // nothing: the interval is open on this side
  std::optional<double> high;
  bool fixed = false;
  bool at_bound = false;   // the best value lies on the edge of what was searched
  bool identified = true;  // false: the runs leave the interval open on a side
  // Standard errors of ln value for scales, of the value for exponents (uncertainty.h); nothing
  // where the parameter is held, on a bound, or not determined.
  std::optional<double> sandwich_error, least_squares_error;
  // Where the profile crosses the interval's level; nothing on a side where it does not.
  std::optional<double> profile_low, profile_high;
};

// The lowest objective for given values of one parameter.
struct Profile {
  std::string name;
  std::vector<double> values;  // natural units, ascending
  std::vector<double> objectives;
};

// A minimum of the objective that the runs cannot tell from the best one.
struct NearMinimum {
  double objective = 0;
  std::vector<double> values;  // natural units, order of the law's parameters
};

struct Doubt {
  std::string subject;  // a parameter's name, "runs", "search", "residuals" or "design"
  std::string what;     // one sentence
  bool fatal = false;   // the fit as a whole is not to be trusted
};

// How the search for the minimum went.
struct Search {
  int starts = 0;
  int agree = 0;             // starts that ended within 1e-8 of the best objective, relative
  int failed = 0;            // starts without a finite value
  std::string stopped;       // why the best one stopped
  double promised_fall = 0;  // what a further step would gain, relative to the objective
  double condition = 0;  // of J'J with unit columns at the minimum: how nearly parameters trade off
};

struct Span {
  double low = 0, high = 0;
};

// How a law predicts runs that it was not fitted to.
struct Extrapolation {
  std::string axis;       // "compute", "epochs", "N/U": fitted below a cut, scored above; "level":
                          // one fifth of the runs by compute left out
  int runs = 0;           // scored, over all cuts
  double mean_error = 0;  // |ln Lhat - ln L|
  double bias = 0;        // ln Lhat - ln L
  // What following the law would have cost: of sizes measured at one compute and one number of
  // unique tokens, the loss of the one that it predicts to be best, less the least measured, in
  // nats a token; the mean over so many such choices.
  int choices = 0;
  double regret = 0;
};

// A law that was weighed when the law was chosen (choice.h).
struct Candidate {
  const Law* law = nullptr;
  Coordinates x;  // the best minimum on all runs
  double objective = 0;
  double aic = 0, bic = 0;  // of the Laplace density with scale mean |r|
  std::vector<Extrapolation> extrapolations;
  double distance = 0;  // mean |ln Lhat - median of all laws| over the region asked for
  std::vector<NearMinimum> minima = {};  // within the noise, the best (`x`) first
  std::vector<Coordinates> draws = {};   // bootstrap refits, fewer than a fit has
};

// What the runs cover; beyond it the law extrapolates.
struct Range {
  Span params, tokens, unique_tokens, epochs, flops;  // flops: 6 N D
};

struct Fit {
  const Law* law = nullptr;
  double delta = 0;  // infinite for least squares
  double asymmetry = 1;
  int runs = 0;
  int cells = 0;
  double objective = 0;     // sum of Huber losses
  double residual_rms = 0;  // of ln Lhat - ln L
  double interval = 0;
  std::uint64_t seed = 0;
  std::vector<Estimate> parameters;  // the law's order
  std::vector<NearMinimum> minima;   // the best first
  Search search;
  Range range;
  std::vector<Doubt> doubts;
  std::vector<Profile> profiles;
  std::vector<Candidate> candidates;  // where the law was chosen: itself first, then by distance
  // The runs that were fitted, with what each counts: what a design needs (design.h).
  Points observed;
  std::vector<double> observed_log_loss, observed_weights;
  std::vector<Coordinates> draws;  // bootstrap refits; order of seed and number
  // What N counts: "as given", "6nd_head" (block and head), "6nd" (all), "kaplan" (block). C = 6 N
  // D follows it.
  std::string params_convention = "as given";
  std::string source;  // file or sweep that the runs came from

  bool trusted() const;
  Coordinates coordinates() const;  // of the best minimum
};

// What each run counts by `focus`: exp(-ln(C_max/C) / focus), where C_max is the compute of the
// most expensive run or, if higher, `most` FLOPs.
std::vector<double> focus_weights(const Points& points, double focus, double most = 0);

// Errors: check(options); unusable observations (ErrorKind::input, all named); fewer than two runs
// or losses that are all equal (ErrorKind::input). A fit that came out but is not to be trusted is
// a value with a fatal doubt.
Result<Fit> fit_law(std::span<const Observation> runs, const Options& options = {});

// The reasons of an untrusted fit as an error (ErrorKind::untrusted). Needs one fatal doubt.
Error untrusted(const Fit& fit);

struct Prediction {
  double value = 0;
  std::optional<double> low, high;  // nothing when the fit has no draws
};

// Predicted loss at each point, with the interval over the draws: how uncertain the law is there,
// seed noise of a single run not included.
std::vector<Prediction> predict(const Fit& fit, const Points& points);

// The `interval` percentile range of values, none of which is NaN. Reorders them.
Span percentile_interval(std::vector<double>& values, double interval);

}  // namespace ration::fit
