#pragma once

// Averages over what the runs cannot tell apart: all laws that were weighed when the law was
// chosen, and minima within the noise. A law counts 1/sqrt(its distance from the median of all),
// where distances below 0.001, the noise of seeds in large runs, count as 0.001: laws that differ
// by less count alike. That predicts runs that were held back better than the chosen law does, and
// picks sizes as well (docs/laws.md has the measurements); weights by BIC do neither. The minima of
// one law share its weight by exp(-n ln(objective/best)).
//
//   const Average average = average_of(fit);
//   std::vector<Prediction> predictions = predict(average, points, fit.interval);

#include "fit/design.h"

namespace ration::fit {

struct Average {
  std::vector<Mode> modes;  // the fit's law at its best minimum first; the weights add up to 1
  // The bootstrap refits of these laws: together what is known. Their weights add up to 1; none
  // where the fit has no draws.
  std::vector<Mode> draws;
};

// Whether a law lies within reach of the chosen one, at most twice as far from the median of all:
// where such laws disagree, the choice decides what neither runs nor other laws do.
bool within_reach(const Candidate& candidate, const Candidate& chosen);

// Of a fit whose law was named, its minima alone.
Average average_of(const Fit& fit);

// exp of the mean ln L over the modes, with the interval over the draws.
std::vector<Prediction> predict(const Average& average, const Points& points, double interval);

// Where the middle `interval` of weighted values ends; `values` is not empty, weights are above 0.
Span weighted_interval(std::span<const double> values,
                       std::span<const double> weights,
                       double interval);

}  // namespace ration::fit
