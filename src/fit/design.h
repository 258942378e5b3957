#pragma once

// Which runs would teach a fit most: optimal design around one or several beliefs (belief.h).
//
// Each belief is linearised: with g(x) = d ln Lhat(x)/d theta and S the covariance of theta, what
// is believed of ln L at two settings varies together by g'S g' and what misfits there have in
// common, all given the runs that are known. A candidate c with the noise variance s^2 is worth,
// for the targets t with equal weights,
//   prediction   mean over t of cov(t, c)^2 / (s^2 + var(c))   the fall of their variance
//   decision     cov(v'theta, c)^2 / (s^2 + var(c))            that of ln N_opt, v = d ln N_opt/d
//                                                              theta
//   determinant  ln(1 + var(c) / s^2)                          twice what its outcome tells of all
// Where beliefs disagree, prediction adds the expected fall of sum_{k<l} w_k w_l |f_k - f_l|^2 over
// the targets, by the mixture of normals that they predict for the candidate's outcome ("Spend
// Less, Fit Better", 2026). Gains are divided by cost^gamma and candidates are taken greedily.
// Because misfits are alike where settings are, a second run beside a first is worth little, and
// one near the targets more than any number far from them.

#include <optional>
#include <vector>

#include "fit/belief.h"
#include "fit/fit.h"

namespace ration::fit {

enum class Gain { prediction, decision, determinant };

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

// Needs one belief or more, all of the same runs.
Selection choose_runs(const std::vector<Belief>& beliefs,
                      const Points& candidates,
                      const Points& targets,
                      const Choosing& options);

// Where a fit says that its law may be: its minima within the noise, each by exp(-n
// ln(objective/best)); where the law was chosen, also the laws up to twice its distance from the
// median, equally credible.
std::vector<Mode> modes_of(const Fit& fit);

}  // namespace ration::fit
