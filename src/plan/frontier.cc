#include "plan/frontier.h"

#include <fmt/format.h>

#include <cmath>

namespace ration::plan {
namespace {

std::string cells(const Amount& amount) {
  const auto cell = [](const std::optional<double>& x) {
    return x ? fmt::format("{:.8g}", *x) : std::string();
  };
  return fmt::format("{:.8g},{},{}", amount.value, cell(amount.low), cell(amount.high));
}

}  // namespace

Result<std::vector<FrontierPoint>> frontier(const fit::Fit& fit,
                                            const Request& request,
                                            std::span<const Flops> budgets) {
  std::vector<FrontierPoint> points;
  for (const Flops budget : budgets) {
    Request one = request;
    one.budget = budget;
    Result<Plan> plan = make_plan(fit, one);
    if (!plan)
      return Error{.kind = plan.error().kind,
                   .what = fmt::format("{:.3g} flop: {}", budget.value, plan.error().what),
                   .hint = plan.error().hint};
    points.push_back({budget, plan->optimum, plan->best});
  }
  return points;
}

std::vector<Flops> budgets_between(Flops low, Flops high, int count) {
  std::vector<Flops> budgets;
  for (int i = 0; i < count; ++i)
    budgets.emplace_back(low.value * std::pow(high / low, static_cast<double>(i) / (count - 1)));
  return budgets;
}

std::string frontier_csv(std::span<const FrontierPoint> points) {
  std::string text = "budget";
  for (const char* name : {"params", "tokens", "epochs", "loss"})
    text += fmt::format(",{0},{0}_low,{0}_high", name);
  text += '\n';
  for (const FrontierPoint& point : points)
    text += fmt::format("{:.8g},{},{},{},{}\n",
                        point.budget.value,
                        cells(point.best.params),
                        cells(point.best.tokens),
                        cells(point.best.epochs),
                        cells(point.best.loss));
  return text;
}

std::string trace_csv(std::span<const Allocation> allocations) {
  std::string text = "params,tokens,epochs,flops,loss,loss_low,loss_high\n";
  for (const Allocation& a : allocations)
    text += fmt::format("{:.8g},{:.8g},{:.8g},{:.8g},{}\n",
                        a.params.value,
                        a.tokens.value,
                        a.epochs.value,
                        6 * a.params.value * a.tokens.value,
                        cells(a.loss));
  return text;
}

}  // namespace ration::plan
