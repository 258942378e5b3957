#include "plan/needed.h"

#include <fmt/format.h>

#include <cmath>

#include "base/parallel.h"
#include "fit/average.h"
#include "plan/budget_line.h"

namespace ration::plan {
namespace {

constexpr double kLowest = 13.815510557964274, kHighest = 73.68272297580946;  // ln 1e6, ln 1e32
constexpr double kStride = 0.6931471805599453;                                // ln 2

// The least ln L that a budget reaches, by one law or several averaged.
class LeastLoss {
 public:
  LeastLoss(std::span<const fit::Mode> modes, const Request& request, std::size_t points)
      : modes_(modes), request_(request), points_(points) {}

  double at(double log_budget) {
    request_.budget = Flops(std::exp(log_budget));
    if (!BudgetLine::exists(request_)) return HUGE_VAL;
    BudgetLine line(modes_, request_);
    return line.log_loss(line.lowest(points_));
  }

  // ln of the budget between two where the loss is reached, to `precision`.
  double between(double missed, double reached, double log_loss, double precision) {
    while (std::abs(reached - missed) > precision) {
      const double middle = (missed + reached) / 2;
      (at(middle) > log_loss ? missed : reached) = middle;
    }
    return reached;
  }

 private:
  std::span<const fit::Mode> modes_;
  Request request_;
  std::size_t points_;
};

struct Scan {
  std::optional<double> first;            // ln of the least budget that reaches the loss
  double least = HUGE_VAL, least_at = 0;  // ln L and ln C, of those looked at
};

// Under a law with a penalty the loss may rise again with the budget, so that all are looked at
// from below.
Scan scan(LeastLoss& loss, double log_loss) {
  constexpr double kPrecision = 1e-7;
  Scan seen;
  for (double log_c = kLowest; log_c <= kHighest; log_c += kStride) {
    const double reached = loss.at(log_c);
    if (reached < seen.least) seen.least = reached, seen.least_at = log_c;
    if (reached > log_loss) continue;
    seen.first = loss.between(log_c - kStride, log_c, log_loss, kPrecision);
    return seen;
  }
  return seen;
}

constexpr double kNever = 1e9;  // in place of ln C: intervals that reach towards it are open

// The same from a place that is near, for the draws of a fit; kNever where no budget reaches it.
double search_around(LeastLoss& loss, double log_loss, double near) {
  constexpr double kPrecision = 1e-3, kFar = 5;  // of ln C
  if (loss.at(near) <= log_loss) {
    while (near > kLowest && loss.at(near - kStride) <= log_loss) near -= kStride;
    return loss.between(near - kStride, near, log_loss, kPrecision);
  }
  for (double log_c = near + kStride; log_c <= near + kFar; log_c += kStride)
    if (loss.at(log_c) <= log_loss)
      return loss.between(log_c - kStride, log_c, log_loss, kPrecision);
  return scan(loss, log_loss).first.value_or(kNever);
}

Amount amount(double log_budget, const fit::Span& ends) {
  Amount budget{std::exp(log_budget), std::exp(ends.low), {}};
  if (ends.high <= kHighest) budget.high = std::exp(ends.high);
  return budget;
}

std::vector<double> drawn_budgets(std::span<const fit::Mode> draws,
                                  const Request& request,
                                  double log_loss,
                                  double near) {
  constexpr std::size_t kGrid = 100;
  std::vector<double> budgets(draws.size());
  parallel_for(draws.size(), 0, [&](std::size_t i) {
    fit::Mode draw = draws[i];
    draw.weight = 1;  // alone
    LeastLoss loss({&draw, 1}, request, kGrid);
    budgets[i] = search_around(loss, log_loss, near);
  });
  return budgets;
}

}  // namespace

std::optional<Flops> least_budget(const fit::Law& law,
                                  std::span<const double> x,
                                  const Request& request,
                                  Loss loss) {
  constexpr std::size_t kGrid = 400;
  const fit::Mode mode{&law, {x.begin(), x.end()}, 1};
  LeastLoss least({&mode, 1}, request, kGrid);
  const Scan seen = scan(least, std::log(loss.value));
  return seen.first ? std::optional(Flops(std::exp(*seen.first))) : std::nullopt;
}

Result<Needed> budget_for(const fit::Fit& fit, const Request& request, Loss loss) {
  Request most = request;
  most.budget = Flops(std::exp(kHighest));
  if (std::vector<Error> problems = check(most); !problems.empty())
    return combine(std::move(problems), "the plan cannot be made");
  if (Result<void> usable = check(*fit.law); !usable) return std::move(usable).error();
  constexpr std::size_t kGrid = 400;
  const double log_loss = std::log(loss.value);
  const std::vector<fit::Mode> best = {{fit.law, fit.coordinates(), 1}};
  LeastLoss least(best, request, kGrid);
  const Scan by_law = scan(least, log_loss);
  if (!by_law.first)
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format("the law reaches no loss of {:g} from these tokens: the least is "
                            "{:.4f} at {:.2g} flop",
                            loss.value,
                            std::exp(by_law.least),
                            std::exp(by_law.least_at)),
        .hint = "ask for a higher loss, or name more unique tokens"};

  Needed needed{{std::exp(*by_law.first)}, {}};
  if (!fit.draws.empty()) {
    std::vector<fit::Mode> draws;
    for (const fit::Coordinates& x : fit.draws) draws.push_back({fit.law, x, 1});
    std::vector<double> budgets = drawn_budgets(draws, request, log_loss, *by_law.first);
    needed.budget = amount(*by_law.first, fit::percentile_interval(budgets, fit.interval));
  }

  const fit::Average average = fit::average_of(fit);
  if (average.modes.size() < 2) return needed;
  LeastLoss averaged(average.modes, request, kGrid);
  const Scan by_average = scan(averaged, log_loss);
  if (!by_average.first) return needed;
  needed.average = {std::exp(*by_average.first)};
  if (average.draws.empty()) return needed;
  std::vector<double> weights;
  for (const fit::Mode& draw : average.draws) weights.push_back(draw.weight);
  const std::vector<double> budgets =
      drawn_budgets(average.draws, request, log_loss, *by_average.first);
  needed.average =
      amount(*by_average.first, fit::weighted_interval(budgets, weights, fit.interval));
  return needed;
}

}  // namespace ration::plan
