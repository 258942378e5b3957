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

Result<Flops> budget_for(const fit::Fit& fit, const Request& request, Loss loss) {
  Request one = request;
  constexpr double kLow = 13.815510557964274, kHigh = 73.68272297580946;  // ln 1e6 and 1e32
  one.budget = Flops(std::exp(kHigh));
  if (std::vector<Error> problems = check(one); !problems.empty())
    return combine(std::move(problems), "the plan cannot be made");
  const fit::Coordinates x = fit.coordinates();
  const auto least_loss = [&](double log_c) {
    one.budget = Flops(std::exp(log_c));
    constexpr std::size_t kGrid = 400;
    return check(one).empty() ? optimise(*fit.law, x, one, kGrid).loss : HUGE_VAL;
  };
  const double stride = std::log(2);
  double least = HUGE_VAL, at = 0;
  for (double log_c = kLow; log_c <= kHigh; log_c += stride) {
    const double reached = least_loss(log_c);
    if (reached < least) least = reached, at = log_c;
    if (reached > loss.value) continue;
    double low = log_c - stride, high = log_c;
    for (int i = 0; i < 40; ++i) {
      const double middle = (low + high) / 2;
      (least_loss(middle) > loss.value ? low : high) = middle;
    }
    return Flops(std::exp(high));
  }
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format("the law reaches no loss of {:g} from these tokens: the least is "
                          "{:.4f} at {:.2g} flop",
                          loss.value,
                          least,
                          std::exp(at)),
      .hint = "ask for a higher loss, or name more unique tokens"};
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
