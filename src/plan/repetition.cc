#include "plan/repetition.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/parallel.h"

namespace ration::plan {
namespace {

constexpr std::size_t kGrid = 100;  // of the first scan: laws are smooth

double log_loss_of(
    const fit::Law& law, std::span<const double> x, double log_n, double log_d, double log_u) {
  fit::Points point;
  point.resize(1);
  point.set(0, log_n, log_d, std::min(log_u, log_d));
  double log_loss = 0;
  law.evaluate(x, point, {&log_loss, 1}, {});
  return log_loss;
}

bool has_effective_tokens(const fit::Law& law) {
  const std::span<const fit::Parameter> all = law.parameters();
  return std::any_of(all.begin(), all.end(), [](const fit::Parameter& p) {
    return p.role == fit::Parameter::Role::data_decay;
  });
}

// Bisects for the place between `low` and `high` where `below` turns from true to false.
template <class Below>
double turning_point(double low, double high, const Below& below) {
  constexpr int kSteps = 60;
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (low + high) / 2;
    (below(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

constexpr double kFewestRepeats = 0.001;  // after which a half-life is looked for

// What the next repeated token is worth at ln D, from U unique ones.
double worth_of_repeat(
    const fit::Law& law, std::span<const double> x, double log_n, double log_u, double repeats) {
  if (!law.describes_repetition()) return 1;
  constexpr double kStep = 1e-4;
  const double log_d = std::max(log_u + std::log1p(repeats), log_u + kStep);
  if (has_effective_tokens(law)) {
    const double above = law.log_effective_tokens(x, log_d + kStep, log_u);
    const double below = law.log_effective_tokens(x, log_d - kStep, log_u);
    return (above - below) / (2 * kStep) *
           std::exp(law.log_effective_tokens(x, log_d, log_u) - log_d);
  }
  const auto repeated = [&](double d) { return log_loss_of(law, x, log_n, d, log_u); };
  const auto fresh = [&](double d) { return log_loss_of(law, x, log_n, d, d); };
  const double loss = repeated(log_d);
  const double equal =
      turning_point(log_d - 40, log_d + 40, [&](double d) { return fresh(d) > loss; });
  const double by_repeat = (repeated(log_d + kStep) - repeated(log_d - kStep)) / (2 * kStep);
  const double by_fresh = (fresh(equal + kStep) - fresh(equal - kStep)) / (2 * kStep);
  return by_repeat / by_fresh * std::exp(equal - log_d);
}

std::optional<double> half_life_of(const fit::Law& law,
                                   std::span<const double> x,
                                   double log_n,
                                   double log_u) {
  constexpr double kLongest = 11.512925464970229;  // ln 1e5 repeats
  const auto worth = [&](double log_repeats) {
    return worth_of_repeat(law, x, log_n, log_u, std::exp(log_repeats));
  };
  // The first repeat may already be worth less; step up, since penalty laws need not be monotone.
  const double kShortest = std::log(kFewestRepeats);
  constexpr double kStride = 0.25;
  for (double at = kShortest; at < kLongest; at += kStride) {
    if (worth(at + kStride) > 0.5) continue;
    return std::exp(turning_point(at, at + kStride, [&](double r) { return worth(r) > 0.5; }));
  }
  return {};
}

Amount amount(double value, std::vector<double>& drawn, double interval) {
  if (drawn.empty()) return {value};
  const fit::Span ends = fit::percentile_interval(drawn, interval);
  return {value, ends.low, ends.high};
}

// An end is open where the interval of the decay constant is, or where no repeat short or long
// enough was found.
void open_ends(const fit::Fit& fit, Amount& half_life) {
  for (std::size_t j = 0; j < fit.parameters.size(); ++j) {
    const fit::Estimate& e = fit.parameters[j];
    if (e.fixed || fit.law->parameters()[j].role != fit::Parameter::Role::data_decay) continue;
    if (!e.low) half_life.low.reset();
    if (!e.high) half_life.high.reset();
  }
  constexpr double kNearEnd = 1.01;
  if (half_life.low && *half_life.low < kNearEnd * kFewestRepeats) half_life.low.reset();
  if (half_life.high && !std::isfinite(*half_life.high)) half_life.high.reset();
}

std::vector<double> epochs_to_show(double around) {
  std::vector<double> epochs = {1, 2, 3};
  const double last = std::clamp(4 * around, 16.0, 1e4);
  for (double m = 4; m <= last; m *= 2) {
    epochs.push_back(m);
    if (1.5 * m <= last) epochs.push_back(1.5 * m);
  }
  return epochs;
}

double least_loss(const fit::Law& law, std::span<const double> x, const Request& request) {
  return optimise(law, x, request, kGrid).loss;
}

}  // namespace

Repetition what_epochs_buy(const fit::Fit& fit,
                           const Request& request,
                           Params params,
                           Epochs around) {
  const fit::Coordinates x = fit.coordinates();
  const fit::Law& law = *fit.law;
  const double log_n = std::log(params.value), log_u = std::log(request.unique.value);
  Repetition result{.params = params.value};
  fit::Points points;
  for (const double epochs : epochs_to_show(around.value)) {
    EpochRow row{.epochs = epochs, .tokens = epochs * request.unique.value};
    const auto loss_after = [&](double m) {
      return std::exp(log_loss_of(law, x, log_n, log_u + std::log(m), log_u));
    };
    row.gain = loss_after(epochs) - loss_after(epochs + 1);
    row.worth = worth_of_repeat(law, x, log_n, log_u, epochs - 1);
    if (!result.harmful_from && row.gain < 0)
      result.harmful_from = turning_point(std::max(1.0, epochs / 2), epochs + 1, [&](double m) {
        constexpr double kStep = 1.0001;
        return loss_after(m * kStep) < loss_after(m);
      });
    result.rows.push_back(row);
    points.add(params, Tokens(row.tokens), request.unique);
  }
  const std::vector<fit::Prediction> losses = fit::predict(fit, points);
  for (std::size_t i = 0; i < losses.size(); ++i)
    result.rows[i].loss = {losses[i].value, losses[i].low, losses[i].high};

  const std::optional<double> half_life = half_life_of(law, x, log_n, log_u);
  if (!half_life) return result;
  std::vector<double> drawn;
  for (const fit::Coordinates& draw : fit.draws)
    drawn.push_back(half_life_of(law, draw, log_n, log_u).value_or(HUGE_VAL));
  result.half_life = amount(*half_life, drawn, fit.interval);
  open_ends(fit, *result.half_life);
  return result;
}

Exchange data_against_compute(const fit::Fit& fit, const Request& request) {
  const fit::Law& law = *fit.law;
  Exchange exchange;
  const Request more_data = scaled(request, 1, exchange.factor);
  const Request more_compute = scaled(request, exchange.factor, 1);
  const auto gains = [&](std::span<const double> x) {
    const double now = least_loss(law, x, request);
    return std::array{now - least_loss(law, x, more_data), now - least_loss(law, x, more_compute)};
  };
  const fit::Coordinates x = fit.coordinates();
  const auto [of_data, of_compute] = gains(x);
  std::vector<double> drawn_data(fit.draws.size()), drawn_compute(fit.draws.size());
  parallel_for(fit.draws.size(), 0, [&](std::size_t i) {
    const auto [data, compute] = gains(fit.draws[i]);
    drawn_data[i] = data;
    drawn_compute[i] = compute;
  });
  exchange.gain_of_data = amount(of_data, drawn_data, fit.interval);
  exchange.gain_of_compute = amount(of_compute, drawn_compute, fit.interval);

  const double target = least_loss(law, x, more_data);
  const auto falls_short = [&](double log_factor) {
    return least_loss(law, x, scaled(request, std::exp(log_factor), 1)) > target;
  };
  constexpr double kMost = 13.815510557964274;  // ln 1e6
  if (!falls_short(kMost))
    exchange.compute_for_data = std::exp(turning_point(0, kMost, falls_short));
  return exchange;
}

}  // namespace ration::plan
