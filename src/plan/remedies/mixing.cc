// How much of another domain to mix in: eta(c) = eta_0 exp(-c/c_0) over measured shares c.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/parallel.h"
#include "plan/remedies/comparisons.h"
#include "plan/remedies/law_curves.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

struct Exponential {
  double at_zero = 0, scale = 1;  // eta_0, c_0
  double at(double share) const { return at_zero * std::exp(-share / scale); }
};

// Weighted least squares: for each c_0 eta_0 is linear; c_0 is scanned, then refined.
Exponential fit_exponential(const std::vector<double>& shares,
                            const std::vector<double>& worths,
                            const std::vector<double>& weights) {
  const auto solve = [&](double log_scale) {
    Exponential curve{.scale = std::exp(log_scale)};
    double both = 0, square = 0, left = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const double shape = std::exp(-shares[i] / curve.scale);
      both += weights[i] * shape * worths[i];
      square += weights[i] * shape * shape;
    }
    curve.at_zero = square > 0 ? both / square : 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const double residual = worths[i] - curve.at(shares[i]);
      left += weights[i] * residual * residual;
    }
    return std::pair(left, curve);
  };
  // Between half the value lost within 0.03 of share and none that shares below 1 could show.
  constexpr double kLow = -3, kHigh = 3;
  double best = kLow, step = 0.25;
  for (double at = kLow; at <= kHigh; at += step)
    if (solve(at).first < solve(best).first) best = at;
  for (; step > 1e-6; step /= 2)
    for (const double at : {best - step, best + step})
      if (at >= kLow && at <= kHigh && solve(at).first < solve(best).first) best = at;
  return solve(best).second;
}

struct Recommended {
  double share = 0, log_fresh = 0;
};

// The share with the most fresh tokens' worth: U_eq rises with it.
Recommended recommend(LawCurves& curves,
                      const Setting& run,
                      const Exponential& worth,
                      double largest) {
  constexpr int kSteps = 32;
  const double log_n = std::log(run.params.value), log_u = std::log(run.unique.value);
  const double log_effective_n = curves.log_effective_params(log_n, std::log(run.tokens.value));
  Recommended best;
  for (int i = 0; i <= kSteps; ++i) {
    const double share = largest * i / kSteps;
    const double alone = curves.loss(log_n, std::log((1 - share) * run.tokens.value), log_u);
    const auto log_own = curves.log_fresh(log_effective_n, alone);
    if (!log_own) continue;
    const double fresh = std::exp(*log_own) + worth.at(share) * share * run.tokens.value;
    const double log_fresh = std::log(std::max(fresh, 1.0));
    if (i == 0 || log_fresh > best.log_fresh) best = {share, log_fresh};
  }
  return best;
}

void fit_curve(const fit::Fit& fit,
               const std::vector<const Priced*>& arms,
               const PriceOptions& options,
               MixingCurve& curve) {
  std::vector<double> weights;
  for (const Priced* priced : arms) {
    const double deviation = deviation_of(priced->worths);
    weights.push_back(deviation > 0 ? 1 / (deviation * deviation) : 1);
  }
  const double largest = options.largest_share.value_or(curve.shares.back());
  const fit::Coordinates best = fit.coordinates();
  const std::size_t count = arms.front()->worths.size();
  std::vector<double> at_zero(count), scale(count), share(count);
  parallel_for(count, options.threads, [&](std::size_t b) {
    std::vector<double> drawn;
    for (const Priced* priced : arms) drawn.push_back(priced->worths[b]);
    const Exponential fitted = fit_exponential(curve.shares, drawn, weights);
    at_zero[b] = fitted.at_zero;
    scale[b] = fitted.scale;
    LawCurves curves(*fit.law, refit(fit, best, b));
    share[b] = recommend(curves, curve.baseline, fitted, largest).share;
  });
  const Exponential fitted = fit_exponential(curve.shares, curve.worths, weights);
  LawCurves curves(*fit.law, best);
  const Recommended recommended = recommend(curves, curve.baseline, fitted, largest);
  curve.at_zero = amount_of(std::move(at_zero), options.level);
  curve.scale = amount_of(std::move(scale), options.level);
  curve.best_share = amount_of(std::move(share), options.level);
  curve.at_zero->value = fitted.at_zero;
  curve.scale->value = fitted.scale;
  curve.best_share->value = recommended.share;
  const double log_n = std::log(curve.baseline.params.value);
  const double log_d = std::log(curve.baseline.tokens.value);
  const double loss =
      curves.plain_loss(curves.log_effective_params(log_n, log_d), recommended.log_fresh);
  curve.best_multiplier =
      std::exp(curves.log_unique(log_n, log_d, loss).value_or(log_d)) / curve.baseline.unique.value;
}

}  // namespace

std::vector<MixingCurve> mixing_curves(const fit::Fit& fit,
                                       std::span<const Priced> rows,
                                       const PriceOptions& options) {
  std::map<std::pair<std::size_t, std::string>, std::vector<const Priced*>> families;
  for (const Priced& priced : rows)
    if (priced.row.kind == RemedyKind::mixing && std::isfinite(priced.row.worth->value))
      families[{priced.pairs->cell, family_of(priced.row)}].push_back(&priced);
  std::vector<MixingCurve> curves;
  for (auto& [key, arms] : families) {
    if (arms.size() < 2) continue;  // one share makes no curve
    std::stable_sort(arms.begin(), arms.end(), [](const Priced* a, const Priced* b) {
      return *a->row.share < *b->row.share;
    });
    MixingCurve curve{.family = key.second,
                      .size = arms.front()->row.size,
                      .baseline = arms.front()->row.baseline};
    for (const Priced* priced : arms) {
      curve.shares.push_back(*priced->row.share);
      curve.worths.push_back(priced->row.worth->value);
    }
    constexpr std::size_t kShares = 4;  // below, two constants follow the noise
    const std::set<double> distinct(curve.shares.begin(), curve.shares.end());
    if (distinct.size() >= kShares) fit_curve(fit, arms, options, curve);
    curves.push_back(std::move(curve));
  }
  return curves;
}

}  // namespace ration::plan
