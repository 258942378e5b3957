#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>

#include "base/parallel.h"
#include "fit/average.h"
#include "plan/budget_line.h"
#include "plan/warnings.h"

namespace ration::plan {
namespace {

constexpr Tokens kEndless{1e300};

Optimum optimum_at(BudgetLine& line, const Request& request, double log_n) {
  const double log_d = line.log_tokens(log_n);
  return {std::exp(log_n),
          std::exp(log_d),
          std::exp(log_d - std::log(request.unique.value)),
          std::exp(line.log_loss(log_n))};
}

Optimum optimise_on(BudgetLine& line, const Request& request, std::size_t points) {
  const double log_n = line.lowest(points);
  Optimum best = optimum_at(line, request, log_n);
  if (request.params) return best;
  constexpr double kNearEnd = 1e-6;
  const auto [first, last] = line.range();
  best.at_max_epochs = line.limited_by_epochs(log_n);
  best.at_max_time = line.limited_by_time(log_n);
  best.at_max_params = request.max_params && log_n > std::log(request.max_params->value) - kNearEnd;
  best.at_end = !best.at_max_params && !request.tokens &&
                (log_n < first + kNearEnd || log_n > last - kNearEnd);
  return best;
}

// Where a law says that repeating harms, more compute need not help: the request with the budget
// that helps most, at most its own. The loss falls and then rises with the budget, and may fall
// again where it buys a model so large that a single epoch is best: all budgets are looked at.
Request useful(const fit::Law& law,
               std::span<const double> x,
               const Request& request,
               std::size_t points) {
  const auto parameters = law.parameters();
  const bool harms = std::any_of(parameters.begin(), parameters.end(), [](const auto& p) {
    return p.role == fit::Parameter::Role::penalty;
  });
  if (!harms || request.tokens || !std::isfinite(request.budget.value)) return request;
  Request tried = request;
  const auto least = [&](double log_budget) {
    tried.budget = Flops(std::exp(log_budget));
    if (!BudgetLine::exists(tried)) return HUGE_VAL;
    BudgetLine line(law, x, tried);
    return line.log_loss(line.lowest(points));
  };
  constexpr double kStride = 0.5, kFarthest = 20;  // of ln C: a factor of 5e8
  const double all = std::log(request.budget.value);
  double best = all, lowest = least(all);
  for (double at = all - kStride; at > all - kFarthest; at -= kStride)
    if (const double reached = least(at); reached < lowest) best = at, lowest = reached;
  constexpr int kBits = 16;  // of ln C: the loss is flat there
  const double from = best - kStride, to = std::min(all, best + kStride);
  best = boost::math::tools::brent_find_minima(least, from, to, kBits).first;
  constexpr double kSame = 1e-3;  // what Brent leaves between an end and the minimum found
  if (best < all - kSame)
    tried.budget = Flops(std::exp(best));
  else
    tried.budget = request.budget;
  return tried;
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

Valley find_valley(BudgetLine& line,
                   const Request& request,
                   const Optimum& best,
                   double tolerance) {
  const double limit = std::log(best.loss) + std::log1p(tolerance);
  const double low = valley_end(line, std::log(best.params), limit, -1);
  const double high = valley_end(line, std::log(best.params), limit, +1);
  const fit::Span tokens = {std::exp(line.log_tokens(high)), std::exp(line.log_tokens(low))};
  const double unique = request.unique.value;
  return {tolerance,
          {std::exp(low), std::exp(high)},
          tokens,
          {tokens.low / unique, tokens.high / unique}};
}

// The request as it would be if all tokens were fresh.
Request fresh(Request request) {
  request.unique = kEndless;
  request.max_epochs.reset();
  request.pools.clear();
  return request;
}

// The request without what a plan that ignores repetition would not know.
Request without_limit_of_epochs(Request request) {
  request.max_epochs.reset();
  return request;
}

// The allocation that would be best if all tokens were fresh, judged on `line`, where they are not.
Optimum baseline_of(const fit::Law& law,
                    std::span<const double> x,
                    const Request& request,
                    BudgetLine& line,
                    std::size_t points) {
  return optimum_at(line, request, std::log(optimise(law, x, fresh(request), points).params));
}

std::vector<PoolUse> use_of_pools(const Request& request, double tokens) {
  double shares = 0, free = 0;
  for (const Pool& pool : request.pools) {
    shares += pool.share.value_or(0);
    if (!pool.share) free += pool.unique.value;
  }
  std::vector<PoolUse> uses;
  for (const Pool& pool : request.pools) {
    const double share = pool.share.value_or((1 - shares) * pool.unique.value / free);
    uses.push_back({pool.name, share, share * tokens, share * tokens / pool.unique.value});
  }
  return uses;
}

// Values over the draws of one allocation, and their intervals.
struct Draws {
  std::vector<double> params, tokens, epochs, loss;

  explicit Draws(std::size_t count) : params(count), tokens(count), epochs(count), loss(count) {}

  void set(std::size_t i, const Optimum& optimum, double loss_at_recommended) {
    params[i] = optimum.params;
    tokens[i] = optimum.tokens;
    epochs[i] = optimum.epochs;
    loss[i] = loss_at_recommended;
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

constexpr std::size_t kGrid = 4000;     // 0.007 apart in ln N
constexpr std::size_t kDrawGrid = 100;  // laws are smooth: enough to find the basin

bool near(const fit::Fit& fit, const fit::Law& law) {
  if (&law == fit.law) return true;
  return std::any_of(fit.candidates.begin(), fit.candidates.end(), [&](const fit::Candidate& c) {
    return c.law == &law && fit::within_reach(c, fit.candidates.front());
  });
}

std::optional<AveragedPlan> average_plan(const fit::Fit& fit, const Request& request) {
  const fit::Average average = fit::average_of(fit);
  if (average.modes.size() < 2) return std::nullopt;
  BudgetLine line(average.modes, request);
  const Optimum best = optimise_on(line, request, kGrid);
  AveragedPlan plan;
  for (const fit::Mode& mode : average.modes)
    plan.opinions.push_back({mode.law,
                             mode.weight,
                             near(fit, *mode.law),
                             optimise(*mode.law, mode.x, request, kDrawGrid)});
  Draws draws(average.draws.size());
  std::vector<double> weights;
  for (const fit::Mode& draw : average.draws) weights.push_back(draw.weight);
  parallel_for(average.draws.size(), 0, [&](std::size_t i) {
    const fit::Mode& draw = average.draws[i];
    BudgetLine drawn(*draw.law, draw.x, request);
    draws.set(
        i, optimise_on(drawn, request, kDrawGrid), std::exp(drawn.log_loss(std::log(best.params))));
  });
  const auto amount_of = [&](double value, const std::vector<double>& drawn) -> Amount {
    if (drawn.empty()) return {value};
    const fit::Span ends = fit::weighted_interval(drawn, weights, fit.interval);
    return {value, ends.low, ends.high};
  };
  plan.best = {amount_of(best.params, draws.params),
               amount_of(best.tokens, draws.tokens),
               amount_of(best.epochs, draws.epochs),
               amount_of(best.loss, draws.loss)};
  return plan;
}

}  // namespace

Optimum optimise(const fit::Law& law,
                 std::span<const double> x,
                 const Request& request,
                 std::size_t points) {
  const Request spent = useful(law, x, request, std::min(points, kDrawGrid));
  BudgetLine line(law, x, spent);
  Optimum best = optimise_on(line, spent, points);
  best.at_harm = spent.budget < request.budget;
  return best;
}

std::vector<Allocation> trace(
    const fit::Fit& fit, const Request& request, double params, double factor, std::size_t points) {
  const fit::Coordinates x = fit.coordinates();
  const Request spent = useful(*fit.law, x, request, kDrawGrid);
  const BudgetLine line(*fit.law, x, spent);
  const auto [first, last] = line.range();
  const double low = std::max(first, std::log(params / factor));
  const double high = std::min(last, std::log(params * factor));
  if (!(low < high)) points = 1;
  std::vector<Allocation> all;
  fit::Points where;
  where.resize(points);
  for (std::size_t i = 0; i < points; ++i) {
    const double part = points == 1 ? 0 : static_cast<double>(i) / static_cast<double>(points - 1);
    const double log_n = low + part * (high - low);
    const double log_d = line.log_tokens(log_n);
    where.set(i, log_n, log_d, line.log_unique(log_d));
    all.push_back(
        {{std::exp(log_n)}, {std::exp(log_d)}, {std::exp(log_d) / request.unique.value}, {}});
  }
  const std::vector<fit::Prediction> losses = fit::predict(fit, where);
  for (std::size_t i = 0; i < points; ++i)
    all[i].loss = {losses[i].value, losses[i].low, losses[i].high};
  return all;
}

double loss_of(
    const fit::Law& law, std::span<const double> x, Params params, Tokens tokens, Tokens unique) {
  fit::Points point;
  point.add(params, tokens, std::min(unique, tokens));
  double log_loss = 0;
  law.evaluate(x, point, {&log_loss, 1}, {});
  return std::exp(log_loss);
}

Result<void> check(const fit::Law& law) {
  if (law.allocates()) return {};
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format("the law {} does not weigh parameters against tokens", law.name()),
      .hint = "plan with a law in both, such as data-constrained"};
}

Result<Plan> make_plan(const fit::Fit& fit, const Request& request) {
  if (std::vector<Error> problems = check(request); !problems.empty())
    return combine(std::move(problems), "the plan cannot be made");
  if (Result<void> usable = check(*fit.law); !usable) return std::move(usable).error();
  const fit::Coordinates x = fit.coordinates();
  const fit::Law& law = *fit.law;
  const Request spent = useful(law, x, request, kDrawGrid);
  BudgetLine line(law, x, spent);
  const Request unlimited = without_limit_of_epochs(request);
  BudgetLine plain(law, x, unlimited);
  Optimum best = optimise_on(line, spent, kGrid);
  best.at_harm = spent.budget < request.budget;
  const Optimum baseline = baseline_of(law, x, request, plain, kGrid);

  Draws of_best(fit.draws.size()), of_baseline(fit.draws.size());
  parallel_for(fit.draws.size(), 0, [&](std::size_t i) {
    const fit::Coordinates& draw = fit.draws[i];
    BudgetLine drawn(law, draw, spent);
    BudgetLine drawn_plain(law, draw, unlimited);
    of_best.set(i,
                optimise(law, draw, request, kDrawGrid),
                std::exp(drawn.log_loss(std::log(best.params))));
    of_baseline.set(i,
                    baseline_of(law, draw, request, drawn_plain, kDrawGrid),
                    std::exp(drawn_plain.log_loss(std::log(baseline.params))));
  });

  Plan plan{.request = request,
            .optimum = best,
            .best = allocation(best, of_best, fit.interval),
            .baseline = allocation(baseline, of_baseline, fit.interval),
            .valley = find_valley(line, spent, best, request.tolerance)};
  plan.flops = 6 * best.params * best.tokens;
  if (!request.speeds.empty())
    plan.seconds = best.tokens / tokens_per_second(request, Params(best.params));
  plan.pools = use_of_pools(request, best.tokens);
  if (request.pools.size() > 1) {
    Request proportional = request;
    proportional.pools.clear();
    plan.proportional_loss = optimise(law, x, proportional).loss;
  }
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
  plan.average = average_plan(fit, request);
  plan.warnings = find_warnings(fit, plan);
  return plan;
}

}  // namespace ration::plan
