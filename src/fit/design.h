#pragma once

// Which runs would teach a fit most: optimal design around one or several fitted laws.
//
// Each mode (a law at a minimum) is linearised: with g(x) = d ln Lhat(x)/d theta and noise variance
// s^2, runs add g g'/s^2 to the information M, and S = M^-1 is the covariance of theta. A candidate
// is worth, for the targets t with weights w_t,
//   prediction  sum_t w_t (g_t' S g)^2 / (s^2 + g' S g)     the fall of their variance
//   decision    (v' S g)^2 / (s^2 + g' S g)                 that of ln N_opt, v = d ln N_opt/d
//   theta determinant ln(1 + g' S g / s^2)                        that of the volume of theta's
//   region
// Where modes disagree, prediction adds the expected fall of sum_{k<l} w_k w_l |f_k - f_l|^2 over
// the targets, by the mixture of normals that the modes predict for the candidate's outcome ("Spend
// Less, Fit Better", 2026). Gains are divided by cost^gamma and candidates are taken greedily.

#include <optional>
#include <span>
#include <vector>

#include "fit/fit.h"

namespace ration::fit {

enum class Gain { prediction, decision, determinant };

// A law at a minimum, one of those that the runs cannot tell apart.
struct Mode {
  const Law* law = nullptr;
  Coordinates x;
  double weight = 1;                  // in proportion to its credence, above 0
  std::vector<double> decision = {};  // d ln N_opt / d theta; needed by Gain::decision alone
};

struct Choosing {
  Gain gain = Gain::prediction;
  // Gains are divided by cost^gamma, 0 to 2: 1 buys most per FLOP, 0 ignores cost. Nothing: the
  // best of 1, 0.75, 0.5, 0.25 and 0 by the error that is left (where `count` binds before `spend`
  // does, the cheapest knowledge is too little of it).
  std::optional<double> gamma = {};
  double spend = 0;    // FLOPs, above 0: runs that no longer fit are passed over
  int count = 1;       // runs to choose, at least 1
  bool again = false;  // whether one candidate may be taken more than once, as a replica
};

struct Chosen {
  std::size_t candidate = 0;
  double gain = 0;          // when it was taken
  double disagreement = 0;  // the part of the gain that tells modes apart
  double cost = 0;          // FLOPs
};

// What the modes expect before and after, as the root mean square over the targets.
struct Outlook {
  double error_before = 0, error_after = 0;  // standard error of ln Lhat, disagreement included
};

struct Selection {
  std::vector<Chosen> runs;  // in the order in which they were taken
  double spent = 0;          // FLOPs
  Outlook outlook;
};

// `noise`: standard deviation of ln L of a run of weight 1, above 0; one of weight w has
// noise / sqrt(w). Weights: one a point, above 0 (focus_weights tells what far runs are worth).
// `runs` may be empty: a weak prior (standard deviation 3 of logarithms, 0.3 of exponents) keeps
// every covariance finite.
Selection choose_runs(const std::vector<Mode>& modes,
                      const Points& runs,
                      std::span<const double> run_weights,
                      double noise,
                      const Points& candidates,
                      std::span<const double> candidate_weights,
                      const Points& targets,
                      const Choosing& options);

// What runs count for targets, by their distance from the box that the targets span in ln C, ln
// epochs and ln N/U: exp(-(sum of the three distances) / focus). Runs inside it count 1.
std::vector<double> relevance(const Points& points, const Points& targets, double focus);

// The modes of a fit: its minima within the noise, each by exp(-n ln(objective/best)); where the
// law was chosen, also the laws up to twice its distance from the median, equally credible.
std::vector<Mode> modes_of(const Fit& fit);

// The noise of single runs as the residuals show it: 1.4826 median |r|, at least 1e-4.
double noise_of(const Fit& fit);

}  // namespace ration::fit
