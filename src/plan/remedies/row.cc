#include "plan/remedies/row.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "plan/remedies/law_curves.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

bool mixes(const Pairs& pairs) {
  return pairs.arm->kind == RemedyKind::mixing && pairs.added.value_or(0) > 0;
}

// Everything that the law makes of one difference of loss.
struct Outcome {
  double log_multiplier = 0;  // infinite where saturated
  double log_with_donors = 0;
  double log_fresh = 0, log_epochs = 0;  // infinite where there is none
  double gain = 0;
  double shift = 0;  // L(N, c D, U_0) - L(N, D, U_0)
  double worth = 0;
};

class Pricing {
 public:
  Pricing(const fit::Law& law, const Pairs& pairs)
      : law_(law),
        pairs_(pairs),
        log_n_(std::log(pairs.baseline.params.value)),
        log_d_(std::log(pairs.baseline.tokens.value)),
        log_u_(std::log(pairs.baseline.unique.value)),
        log_c_(std::log(pairs.flops / pairs.baseline_flops)),
        log_c_donors_(std::log((pairs.flops + pairs.donors) / pairs.baseline_flops)) {}

  Outcome at(std::span<const double> x, double delta) const {
    LawCurves curves(law_, x);
    const double fitted = curves.loss(log_n_, log_d_, log_u_), target = fitted + delta;
    const double charged = log_d_ + log_c_;
    Outcome outcome;
    outcome.log_multiplier = log_multiplier(curves, charged, target);
    outcome.log_with_donors = pairs_.donors > 0
                                  ? log_multiplier(curves, log_d_ + log_c_donors_, target)
                                  : outcome.log_multiplier;
    const double log_effective_n = curves.log_effective_params(log_n_, charged);
    outcome.log_fresh = curves.log_fresh(log_effective_n, target).value_or(HUGE_VAL);
    outcome.log_epochs = curves.log_tokens(log_n_, log_u_, target).value_or(HUGE_VAL) - log_u_;
    const double repeated = curves.loss(log_n_, charged, log_u_);
    outcome.shift = repeated - fitted;
    outcome.gain = repeated - target;
    if (mixes(pairs_)) outcome.worth = worth(curves, log_effective_n, outcome.log_fresh);
    return outcome;
  }

 private:
  double log_multiplier(LawCurves& curves, double log_d, double target) const {
    return curves.log_unique(log_n_, log_d, target).value_or(HUGE_VAL) - log_u_;
  }

  // What an added token is worth: the fresh tokens that the mixture is worth beyond those of its
  // target tokens alone, over the added ones.
  double worth(LawCurves& curves, double log_effective_n, double log_fresh) const {
    const double added = *pairs_.added;
    const double alone = curves.loss(log_n_, std::log(pairs_.tokens - added), log_u_);
    const auto log_alone = curves.log_fresh(log_effective_n, alone);
    if (!log_alone || !std::isfinite(log_fresh)) return NAN;
    return (std::exp(log_fresh) - std::exp(*log_alone)) / added;
  }

  const fit::Law& law_;
  const Pairs& pairs_;
  double log_n_, log_d_, log_u_, log_c_, log_c_donors_;
};

// One number of every outcome.
template <class Member>
std::vector<double> column(const std::vector<Outcome>& outcomes, const Member& member) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(member(outcome));
  return values;
}

double variance_of(const std::vector<double>& values) {
  const double deviation = deviation_of(values);
  return deviation * deviation;
}

// sqrt(sd_Delta^2 + d' S d) / |g|, d the gradient of L(N, c D, U_eq) - L(N, D, U_0) by the law's
// parameters, S the covariance of its refits.
double first_order_error(const fit::Fit& fit,
                         const fit::Coordinates& x,
                         const PriceRow& row,
                         double delta_error) {
  fit::Points points;
  points.add(row.baseline.params, row.baseline.tokens * row.compute, row.effective.unique);
  points.add(row.baseline.params, row.baseline.tokens, row.baseline.unique);
  std::vector<double> log_loss(2), jacobian(2 * x.size());
  fit.law->evaluate(x, points, log_loss, jacobian);
  std::vector<double> projected;  // d' (x_b - x) of every refit
  for (const fit::Coordinates& draw : fit.draws) {
    double sum = 0;
    for (std::size_t j = 0; j < x.size(); ++j)
      sum +=
          (std::exp(log_loss[0]) * jacobian[2 * j] - std::exp(log_loss[1]) * jacobian[2 * j + 1]) *
          (draw[j] - x[j]);
    projected.push_back(sum);
  }
  return log_unique_error(row.effective.slope,
                          std::sqrt(delta_error * delta_error + variance_of(projected)));
}

bool within(const fit::Span& span, double value) {
  constexpr double kNear = 1.05;  // an allowance for runs that end a few steps early
  return span.high <= 0 || (value > span.low / kNear && value < span.high * kNear);
}

std::vector<Flag> flags_of(const fit::Fit& fit, const PriceRow& row) {
  constexpr double kEpochs = 4, kError = 0.25;  // docs/remedies.md has where these come from
  constexpr int kSeeds = 5;
  const double epochs = row.baseline.tokens / row.baseline.unique;
  const bool one_sided = row.gain.low && row.gain.high && (*row.gain.low > 0 || *row.gain.high < 0);
  std::vector<Flag> flags;
  if (!one_sided) flags.push_back(Flag::no_effect);
  if (epochs < kEpochs && !(row.log_error <= kError)) flags.push_back(Flag::not_resolvable);
  if (row.pairs < kSeeds) flags.push_back(Flag::few_seeds);
  if (row.effective.saturated) flags.push_back(Flag::saturated);
  if (!fit.trusted()) flags.push_back(Flag::law_untrusted);
  if (fit.draws.empty()) flags.push_back(Flag::law_fixed);
  if (!within(fit.range.params, row.baseline.params.value) ||
      !within(fit.range.tokens, row.baseline.tokens.value) ||
      !within(fit.range.unique_tokens, row.baseline.unique.value) ||
      !within(fit.range.epochs, epochs))
    flags.push_back(Flag::outside_fit);
  return flags;
}

void price_exponentials(const std::vector<Outcome>& outcomes,
                        const Pairs& pairs,
                        double level,
                        PriceRow& row) {
  const auto exponentials = [&](const auto& member) {
    return amount_of(column(outcomes, [&](const Outcome& o) { return std::exp(member(o)); }),
                     level);
  };
  row.multiplier = exponentials([](const Outcome& o) { return o.log_multiplier; });
  row.unique = exponentials(
      [&](const Outcome& o) { return o.log_multiplier + std::log(pairs.baseline.unique.value); });
  row.fresh = exponentials([](const Outcome& o) { return o.log_fresh; });
  row.epochs = exponentials([](const Outcome& o) { return o.log_epochs; });
  // Where most draws are beyond reach the median is the bound.
  if (!std::isfinite(row.multiplier.value)) row.multiplier.value = row.effective.multiplier;
  if (!std::isfinite(row.unique.value)) row.unique.value = row.effective.unique.value;
  if (pairs.donors > 0) {
    row.compute_with_donors = (pairs.flops + pairs.donors) / pairs.baseline_flops;
    row.multiplier_with_donors = exponentials([](const Outcome& o) { return o.log_with_donors; });
  }
  if (row.kept) {
    const double kept = *row.kept;
    row.quality = exponentials([&](const Outcome& o) { return o.log_multiplier - std::log(kept); });
  }
}

double spread_of(const Amount& multiplier, double level) {
  if (!multiplier.low || !multiplier.high || !(*multiplier.low > 0)) return HUGE_VAL;
  return std::log(*multiplier.high / *multiplier.low) / (2 * normal_reach(level));
}

// What needs no law.
PriceRow plain_row(const Pairs& pairs, double level) {
  return {.arm = pairs.arm->name,
          .kind = pairs.arm->kind,
          .family = pairs.arm->family,
          .size = pairs.size,
          .baseline = pairs.baseline,
          .pairs = static_cast<int>(pairs.seeds.size()),
          .delta_t = student(pairs.differences, level),
          .compute = pairs.flops / pairs.baseline_flops,
          .charged = Flops(pairs.flops),
          .donors = Flops(pairs.donors),
          .kept = pairs.arm->kind == RemedyKind::filter ? pairs.kept : std::nullopt};
}

// What the best fit makes of the mean difference.
void price_best(const fit::Fit& fit, const fit::Coordinates& best, PriceRow& row) {
  const Setting& run = row.baseline;
  row.loss = loss_of(*fit.law, best, run.params, run.tokens, run.unique) + row.delta_t.value;
  // price() checked what effective() would refuse, but for a loss that is not above 0: no data give
  // that either.
  row.effective = {.unique = run.tokens * row.compute,
                   .multiplier = run.tokens * row.compute / run.unique,
                   .saturated = true};
  if (Result<Effective> found = effective(*fit.law, best, run, Loss(row.loss), row.compute))
    row.effective = *found;
  row.compute_multiplier = compute_multiplier(*fit.law,
                                              best,
                                              run.unique,
                                              Loss(row.loss),
                                              training_flops(run.params, run.tokens) * row.compute);
}

// No seed to compare with: no interval of anything.
void drop_intervals(PriceRow& row) {
  for (Amount* amount :
       {&row.delta, &row.gain, &row.multiplier, &row.unique, &row.fresh, &row.epochs})
    amount->low = amount->high = std::nullopt;
  if (row.multiplier_with_donors)
    row.multiplier_with_donors = Amount{row.multiplier_with_donors->value};
  if (row.quality) row.quality = Amount{row.quality->value};
}

void price_errors(const fit::Fit& fit,
                  const fit::Coordinates& best,
                  const Pairs& pairs,
                  const std::vector<Outcome>& outcomes,
                  const PriceOptions& options,
                  PriceRow& row) {
  const double seeds = static_cast<double>(pairs.seeds.size());
  const double deviation = deviation_of(pairs.differences);
  row.log_error = spread_of(row.multiplier, options.level);
  row.first_order_error = first_order_error(fit, best, row, deviation / std::sqrt(seeds));
  if (deviation > 0)
    row.seeds_needed =
        seeds_needed(row.effective.slope, deviation / std::sqrt(2.0), options.wanted);
  const double law_variance =
      variance_of(column(outcomes, [](const Outcome& o) { return o.shift; }));
  row.p = p_of(row.gain.value, std::sqrt(deviation * deviation / seeds + law_variance), seeds - 1);
}

}  // namespace

const fit::Coordinates& refit(const fit::Fit& fit, const fit::Coordinates& best, std::size_t draw) {
  return fit.draws.empty() ? best : fit.draws[draw % fit.draws.size()];
}

Priced price_row(const fit::Fit& fit, const Pairs& pairs, const PriceOptions& options) {
  const fit::Coordinates best = fit.coordinates();
  const Pricing pricing(*fit.law, pairs);
  const std::vector<double> deltas = bootstrap_means(pairs.differences, options, pairs.cell);
  std::vector<Outcome> outcomes(deltas.size());
  parallel_for(deltas.size(), options.threads, [&](std::size_t b) {
    outcomes[b] = pricing.at(refit(fit, best, b), deltas[b]);
  });
  const Outcome central = pricing.at(best, mean_of(pairs.differences));

  Priced priced{.row = plain_row(pairs, options.level), .pairs = &pairs};
  PriceRow& row = priced.row;
  price_best(fit, best, row);
  row.gain = amount_of(column(outcomes, [](const Outcome& o) { return o.gain; }), options.level);
  row.gain.value = central.gain;
  row.delta = amount_of(deltas, options.level);
  row.delta.value = mean_of(pairs.differences);
  price_exponentials(outcomes, pairs, options.level, row);
  if (row.pairs < 2) drop_intervals(row);
  price_errors(fit, best, pairs, outcomes, options, row);
  if (mixes(pairs)) {
    row.share = *pairs.added / pairs.tokens;
    priced.worths = column(outcomes, [](const Outcome& o) { return o.worth; });
    row.worth = amount_of(priced.worths, options.level);
    if (row.pairs < 2) row.worth = Amount{row.worth->value};
  }
  if (pairs.scores.size() == 1)
    row.task = Amount{pairs.scores.front()};
  else if (!pairs.scores.empty())
    row.task = amount_of(bootstrap_means(pairs.scores, options, pairs.cell), options.level);
  row.draws = column(outcomes, [](const Outcome& o) { return o.log_multiplier; });
  if (pairs.donors > 0)
    row.draws_with_donors = column(outcomes, [](const Outcome& o) { return o.log_with_donors; });
  row.flags = flags_of(fit, row);
  constexpr double kSameText = 1.001;  // whole sequences
  if (pairs.kept.value_or(1) > kSameText) row.flags.push_back(Flag::more_text);
  return priced;
}

}  // namespace ration::plan
