#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>

#include "plan/budget_line.h"
#include "plan/warnings.h"

namespace ration::plan {
namespace {

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

constexpr Tokens kEndless{1e300};

Optimum optimum_at(BudgetLine& line, double log_n) {
  const double log_d = line.log_tokens(log_n);
  return {std::exp(log_n),
          std::exp(log_d),
          std::exp(log_d - line.log_unique()),
          std::exp(line.log_loss(log_n))};
}

Optimum optimise_on(BudgetLine& line, std::size_t points) {
  const auto [first, last] = line.range();
  const double step = (last - first) / static_cast<double>(points - 1);
  const std::vector<double> losses = line.grid(points);
  const auto lowest =
      static_cast<std::size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
  const double middle = first + step * static_cast<double>(lowest);

  constexpr int kBits = 30;  // of ln N: beyond that the loss does not change in double precision
  const auto [log_n, log_loss] =
      boost::math::tools::brent_find_minima([&](double x) { return line.log_loss(x); },
                                            std::max(first, middle - step),
                                            std::min(last, middle + step),
                                            kBits);
  Optimum best = optimum_at(line, log_loss <= losses[lowest] ? log_n : middle);
  constexpr double kNearEnd = 1e-6;
  const double found = std::log(best.params);
  best.at_max_epochs = line.limited_by_epochs() && found < first + kNearEnd;
  best.at_end = !best.at_max_epochs && (found < first + kNearEnd || found > last - kNearEnd);
  return best;
}

// The end of the valley in one direction: the last ln N whose loss is at most `limit`.
double valley_end(BudgetLine& line, double from, double limit, double direction) {
  constexpr double kStride = 0.02;
  const auto [first, last] = line.range();
  double inside = from;
  double outside = from;
  while (line.log_loss(outside) <= limit) {
    inside = outside;
    if (outside <= first || outside >= last) {
      if (outside != from) return outside;
    }
    const double next = std::clamp(outside + direction * kStride, first, last);
    if (next == outside) return outside;
    outside = next;
  }
  for (int i = 0; i < 50; ++i) {
    const double middle = (inside + outside) / 2;
    (line.log_loss(middle) <= limit ? inside : outside) = middle;
  }
  return inside;
}

Valley find_valley(BudgetLine& line, const Optimum& best, double tolerance) {
  const double limit = std::log(best.loss) + std::log1p(tolerance);
  const double low = valley_end(line, std::log(best.params), limit, -1);
  const double high = valley_end(line, std::log(best.params), limit, +1);
  const fit::Span tokens = {std::exp(line.log_tokens(high)), std::exp(line.log_tokens(low))};
  const double unique = std::exp(line.log_unique());
  return {tolerance,
          {std::exp(low), std::exp(high)},
          tokens,
          {tokens.low / unique, tokens.high / unique}};
}

// The allocation that would be best if all tokens were fresh, judged on `line`, where they are not.
Optimum baseline_of(const fit::Law& law,
                    std::span<const double> x,
                    Flops budget,
                    BudgetLine& line,
                    std::size_t points) {
  const Request fresh = {.budget = budget, .unique = kEndless};
  return optimum_at(line, std::log(optimise(law, x, fresh, points).params));
}

// Values over the draws of one allocation, and their intervals.
struct Draws {
  std::vector<double> params, tokens, epochs, loss;

  void add(const Optimum& optimum, double loss_at_recommended) {
    params.push_back(optimum.params);
    tokens.push_back(optimum.tokens);
    epochs.push_back(optimum.epochs);
    loss.push_back(loss_at_recommended);
  }
};

Amount amount(double value, std::vector<double>& drawn, double interval) {
  if (drawn.empty()) return {value};
  const fit::Span ends = fit::percentile_interval(drawn, interval);
  return {value, ends.low, ends.high};
}

Allocation allocation(const Optimum& optimum, Draws& draws, double interval) {
  return {amount(optimum.params, draws.params, interval),
          amount(optimum.tokens, draws.tokens, interval),
          amount(optimum.epochs, draws.epochs, interval),
          amount(optimum.loss, draws.loss, interval)};
}

}  // namespace

std::vector<Error> check(const Request& request) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  std::vector<Error> problems;
  if (!positive(request.budget.value))
    problems.push_back(wrong("the budget is not above 0 FLOPs", "--budget 1e21flop"));
  if (!positive(request.unique.value))
    problems.push_back(wrong("the unique tokens are not above 0", "--unique 25Btok"));
  if (request.max_epochs && !positive(request.max_epochs->value))
    problems.push_back(wrong("the limit of epochs is not above 0", "--max-epochs 8"));
  if (!(request.tolerance > 0 && request.tolerance < 1))
    problems.push_back(wrong(fmt::format("a tolerance of {}", request.tolerance),
                             "a share of the loss between 0 and 1, such as 0.001"));
  if (!problems.empty()) return problems;
  if (!BudgetLine::exists(request))
    problems.push_back(
        wrong("no model size fits: the budget is too small, or so large that the limit of epochs "
              "asks for a model beyond 1e14 parameters",
              "raise --max-epochs or the unique tokens, or lower the budget"));
  return problems;
}

Optimum optimise(const fit::Law& law,
                 std::span<const double> x,
                 const Request& request,
                 std::size_t points) {
  BudgetLine line(law, x, request);
  return optimise_on(line, points);
}

double loss_of(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Tokens unique) {
  fit::Points point;
  point.add(params, tokens, std::min(unique, tokens));
  double log_loss = 0;
  law.evaluate(x, point, {&log_loss, 1}, {});
  return std::exp(log_loss);
}

Result<Plan> make_plan(const fit::Fit& fit, const Request& request) {
  if (std::vector<Error> problems = check(request); !problems.empty())
    return combine(std::move(problems), "the plan cannot be made");
  const fit::Coordinates x = fit.coordinates();
  const fit::Law& law = *fit.law;
  if (!law.allocates())
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format("the law {} does not weigh parameters against tokens", law.name()),
        .hint = "plan with a law in both, such as data-constrained"};
  BudgetLine line(law, x, request);
  constexpr std::size_t kGrid = 4000;     // 0.007 apart in ln N
  constexpr std::size_t kDrawGrid = 100;  // laws are smooth: enough to find the basin
  const Optimum best = optimise_on(line, kGrid);
  const Optimum baseline = baseline_of(law, x, request.budget, line, kGrid);

  Draws of_best, of_baseline;
  for (const fit::Coordinates& draw : fit.draws) {
    BudgetLine drawn(law, draw, request);
    of_best.add(optimise_on(drawn, kDrawGrid), std::exp(drawn.log_loss(std::log(best.params))));
    of_baseline.add(baseline_of(law, draw, request.budget, drawn, kDrawGrid),
                    std::exp(drawn.log_loss(std::log(baseline.params))));
  }

  Plan plan{.request = request,
            .best = allocation(best, of_best, fit.interval),
            .baseline = allocation(baseline, of_baseline, fit.interval),
            .valley = find_valley(line, best, request.tolerance)};
  for (std::size_t i = 1; i < fit.minima.size(); ++i) {
    fit::Coordinates other;
    for (std::size_t j = 0; j < law.size(); ++j)
      other.push_back(law.parameters()[j].coordinate(fit.minima[i].values[j]));
    plan.alternatives.push_back(
        {fit.minima[i].objective / fit.objective, optimise(law, other, request, kDrawGrid)});
  }
  for (std::size_t c = 1; c < fit.candidates.size(); ++c) {
    const fit::Candidate& other = fit.candidates[c];
    plan.other_laws.push_back(
        {other.law, other.distance, optimise(*other.law, other.x, request, kDrawGrid)});
  }
  plan.warnings = find_warnings(fit, request, best);
  return plan;
}

}  // namespace ration::plan
