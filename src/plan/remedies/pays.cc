#include "plan/remedies/pays.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "plan/remedies/law_curves.h"

namespace ration::plan {
namespace {

// Fresh tokens that D tokens from U unique ones are worth, in all that the law makes of them.
double fresh_of(
    LawCurves& curves, double log_n, double log_reference, double tokens, double log_u) {
  const double loss = curves.loss(log_n, std::log(tokens), log_u);
  const double log_effective_n = curves.log_effective_params(log_n, log_reference);
  return std::exp(curves.log_fresh(log_effective_n, loss).value_or(HUGE_VAL));
}

// The stretch of epochs around `measured`, or else the nearest, where `advantage` is at least 0.
Pays stretch(double measured, const std::function<double(double log_epochs)>& advantage) {
  constexpr double kFirst = -1.5, kLast = 9.25, kStride = 0.125;  // ln of epochs, 0.2 to 10,000
  constexpr double kSame = -1e-9;
  const auto pays = [&](double log_epochs) { return advantage(log_epochs) >= kSame; };
  const double centre = std::log(measured);
  std::optional<double> inside;
  for (double far = 0; far <= kLast - kFirst && !inside; far += kStride)
    for (const double at : {centre - far, centre + far})
      if (!inside && at >= kFirst && at <= kLast && pays(at)) inside = at;
  Pays found{.by_law = true};
  if (!inside) return found;
  found.anywhere = true;
  double low = *inside, high = *inside;
  while (low > kFirst && pays(low - kStride)) low -= kStride;
  while (high < kLast && pays(high + kStride)) high += kStride;
  if (low > kFirst)
    found.from = std::exp(last_above(low - kStride, low, [&](double at) { return !pays(at); }));
  if (high < kLast) found.until = std::exp(last_above(high, high + kStride, pays));
  return found;
}

}  // namespace

std::optional<Pays> pays_by_law(const fit::Fit& fit, const Priced& priced) {
  const PriceRow& row = priced.row;
  if (!row.effective.fresh) return std::nullopt;
  const double log_n = std::log(row.baseline.params.value);
  const double unique = row.baseline.unique.value, log_u = std::log(unique);
  const double tokens = row.baseline.tokens.value, compute = row.compute;
  LawCurves curves(*fit.law, fit.coordinates());
  const double reference = std::log(tokens * compute);
  const auto worth_of = [&](double seen, double log_unique) {
    return fresh_of(curves, log_n, reference, seen, log_unique);
  };
  // What the remedy at D plain tokens is worth, in fresh ones.
  std::function<double(double)> remedied;
  if (row.kind == RemedyKind::filter && row.kept) {
    const double seen = priced.pairs->tokens / tokens, log_kept = log_u + std::log(*row.kept);
    const double quality = row.effective.fresh->value / worth_of(seen * tokens, log_kept);
    remedied = [=](double d) { return quality * worth_of(seen * d, log_kept); };
  } else if (row.kind == RemedyKind::mixing && row.share && row.worth) {
    const double seen = priced.pairs->tokens / tokens, share = *row.share;
    const double own = worth_of((1 - share) * seen * tokens, log_u);
    const double eta = (row.effective.fresh->value - own) / (share * seen * tokens);
    remedied = [=](double d) {
      return worth_of((1 - share) * seen * d, log_u) + eta * share * seen * d;
    };
  } else {
    return std::nullopt;
  }
  Pays pays = stretch(tokens / unique, [&](double log_epochs) {
    const double d = std::exp(log_epochs) * unique;
    return std::log(std::max(remedied(d), 1.0) / worth_of(compute * d, log_u));
  });
  pays.measured_low = pays.measured_high = tokens / unique;
  return pays;
}

Pays pays_as_measured(std::span<const PriceRow* const> rows) {
  const auto epochs = [](const PriceRow& row) { return row.baseline.tokens / row.baseline.unique; };
  const auto log_multiplier = [](const PriceRow& row) {
    return std::log(row.effective.multiplier);
  };
  Pays pays{.measured_low = epochs(*rows.front()), .measured_high = epochs(*rows.back())};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double now = log_multiplier(*rows[i]);
    pays.anywhere = pays.anywhere || now >= 0;
    if (i == 0) continue;
    const double before = log_multiplier(*rows[i - 1]);
    if ((before >= 0) == (now >= 0)) continue;
    const double from = std::log(epochs(*rows[i - 1])), to = std::log(epochs(*rows[i]));
    (before >= 0 ? pays.until : pays.from) = std::exp(from + (to - from) * before / (before - now));
  }
  return pays;
}

}  // namespace ration::plan
