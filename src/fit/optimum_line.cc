#include "fit/optimum_line.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace ration::fit {
namespace {

// f of the line, with its percentiles over the draws.
template <class Get>
Prediction over_draws(const OptimumLine& line, const Get& get) {
  Prediction prediction{.value = get(line.best)};
  if (line.draws.empty()) return prediction;
  std::vector<double> values;
  for (const PowerLine& draw : line.draws) values.push_back(get(draw));
  const Span ends = percentile_interval(values, line.interval);
  prediction.low = ends.low;
  prediction.high = ends.high;
  return prediction;
}

}  // namespace

std::optional<PowerLine> regress(std::span<const double> log_flops,
                                 std::span<const double> log_params,
                                 std::span<const double> weights) {
  double sum = 0, mean_c = 0, mean_n = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    mean_c += weights[i] * log_flops[i];
    mean_n += weights[i] * log_params[i];
  }
  mean_c /= sum;
  mean_n /= sum;
  double spread = 0, product = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    spread += weights[i] * (log_flops[i] - mean_c) * (log_flops[i] - mean_c);
    product += weights[i] * (log_flops[i] - mean_c) * (log_params[i] - mean_n);
  }
  constexpr double kSame = 1e-12;  // rounding of ln C, relative to its square
  if (weights.size() < 2 || !(spread > kSame * sum)) return std::nullopt;
  const double exponent = product / spread;
  return PowerLine{.log_k = mean_n - exponent * mean_c, .exponent = exponent};
}

Prediction OptimumLine::exponent() const {
  return over_draws(*this, [](const PowerLine& line) { return line.exponent; });
}

Prediction OptimumLine::k() const {
  return over_draws(*this, [](const PowerLine& line) { return std::exp(line.log_k); });
}

BudgetOptimum OptimumLine::at(Flops budget) const {
  const double log_c = std::log(budget.value);
  const auto params = [&](const PowerLine& line) { return std::exp(line.log_params(log_c)); };
  const auto tokens = [&](const PowerLine& line) {
    return tokens_for(budget, Params(params(line))).value;
  };
  return {.budget = budget,
          .params = over_draws(*this, params),
          .tokens = over_draws(*this, tokens),
          .tokens_per_params =
              over_draws(*this, [&](const PowerLine& l) { return tokens(l) / params(l); })};
}

std::vector<Doubt> line_doubts(const OptimumLine& line) {
  std::vector<Doubt> doubts;
  const auto all = static_cast<double>(line.draws.size()) + line.failed;
  constexpr double kManyFailed = 0.05;  // as much as the interval leaves out on one side
  constexpr double kTooMany = 0.2;
  if (line.failed > kManyFailed * all)
    doubts.push_back({.subject = "bootstrap",
                      .what = fmt::format("no line goes through {} of {} draws; the intervals are "
                                          "those of the others",
                                          line.failed,
                                          line.failed + line.draws.size()),
                      .fatal = line.failed > kTooMany * all});
  // Between 0 and 1 lies every exponent of a law with two falling terms.
  const Prediction p = line.exponent();
  if (p.low && *p.high - *p.low > 1)
    doubts.push_back(
        {.subject = "exponent",
         .what = fmt::format("its interval, {:.3g} to {:.3g}, leaves open whether N_opt "
                             "grows; more budgets, further apart, would tell",
                             *p.low,
                             *p.high),
         .fatal = true});
  return doubts;
}

std::optional<Doubt> extrapolation(const OptimumLine& line, Flops budget) {
  if (budget.value >= line.flops.low && budget.value <= line.flops.high) return std::nullopt;
  const bool above = budget.value > line.flops.high;
  const double end = above ? line.flops.high : line.flops.low;
  return Doubt{.subject = "budget",
               .what = fmt::format("{} is {:.3g} times the {} compute of the line ({})",
                                   format_quantity(budget.value, "flop"),
                                   budget.value / end,
                                   above ? "most" : "least",
                                   format_quantity(end, "flop"))};
}

}  // namespace ration::fit
