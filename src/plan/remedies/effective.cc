#include "plan/remedies/effective.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "plan/needed.h"
#include "plan/remedies/law_curves.h"

namespace ration::plan {
namespace {

Result<void> check(const fit::Law& law, const Setting& baseline, Loss loss, double compute) {
  std::vector<Error> problems;
  const auto refuse = [&](std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  if (!law.describes_repetition())
    refuse(fmt::format("the law {} does not describe repeated tokens", law.name()),
           "fit a law that does, such as data-constrained");
  const auto positive = [&](std::string_view name, double value) {
    if (!(value > 0) || !std::isfinite(value))
      refuse(fmt::format("{} are {}, not a number above 0", name, value), "give a finite one");
  };
  positive("parameters", baseline.params.value);
  positive("tokens", baseline.tokens.value);
  positive("unique tokens", baseline.unique.value);
  positive("nats of loss", loss.value);
  positive("times the compute", compute);
  if (baseline.unique > baseline.tokens)
    refuse(fmt::format(
               "{:g} unique tokens among {:g} seen", baseline.unique.value, baseline.tokens.value),
           "the unique tokens are those that were seen");
  if (problems.empty()) return {};
  return combine(std::move(problems), "equivalent unique tokens cannot be found");
}

std::optional<Tokens> exp_of(const std::optional<double>& log_tokens) {
  return log_tokens ? std::optional(Tokens(std::exp(*log_tokens))) : std::nullopt;
}

}  // namespace

Result<Effective> effective(const fit::Law& law,
                            std::span<const double> x,
                            const Setting& baseline,
                            Loss loss,
                            double compute) {
  if (Result<void> usable = check(law, baseline, loss, compute); !usable)
    return std::move(usable).error();
  LawCurves curves(law, x);
  const double log_n = std::log(baseline.params.value);
  const double log_d = std::log(compute * baseline.tokens.value);
  const double log_u0 = std::log(baseline.unique.value);
  Effective result;
  const std::optional<double> log_u = curves.log_unique(log_n, log_d, loss.value);
  result.saturated = !log_u;
  result.unique = log_u ? Tokens(std::exp(*log_u)) : baseline.tokens * compute;
  result.multiplier = result.unique / baseline.unique;
  result.slope = curves.slope(log_n, log_d, log_u.value_or(log_d));
  result.fresh = exp_of(curves.log_fresh(curves.log_effective_params(log_n, log_d), loss.value));
  if (const auto log_tokens = curves.log_tokens(log_n, log_u0, loss.value))
    result.epochs = Epochs(std::exp(*log_tokens - log_u0));
  return result;
}

std::optional<double> compute_multiplier(
    const fit::Law& law, std::span<const double> x, Tokens unique, Loss loss, Flops used) {
  if (!(loss.value > 0)) return std::nullopt;
  const std::optional<Flops> least = least_budget(law, x, {.unique = unique}, loss);
  return least ? std::optional(*least / used) : std::nullopt;
}

std::optional<Tokens> fresh_tokens(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Loss loss) {
  LawCurves curves(law, x);
  const double log_n = curves.log_effective_params(std::log(params.value), std::log(tokens.value));
  return exp_of(curves.log_fresh(log_n, loss.value));
}

Loss loss_of_fresh(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Tokens fresh) {
  LawCurves curves(law, x);
  const double log_n = curves.log_effective_params(std::log(params.value), std::log(tokens.value));
  return Loss(curves.plain_loss(log_n, std::log(fresh.value)));
}

double log_unique_error(double slope, double loss_error) { return loss_error / std::abs(slope); }

std::optional<std::int64_t> seeds_needed(double slope, double seed_deviation, double wanted) {
  const double deviations = seed_deviation * std::sqrt(2.0) / (slope * wanted);
  const double seeds = std::ceil(deviations * deviations);
  constexpr double kCountable = 1e15;
  if (!(seeds < kCountable)) return std::nullopt;
  return std::max<std::int64_t>(2, static_cast<std::int64_t>(seeds));
}

}  // namespace ration::plan
