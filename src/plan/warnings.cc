#include "plan/warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/text.h"

namespace ration::plan {
namespace {

void warn_beyond(std::string_view what,
                 double value,
                 const fit::Span& seen,
                 std::string_view unit,
                 std::vector<std::string>& warnings) {
  constexpr double kMargin = 1.001;
  if (seen.high <= 0) return;  // a fit file without ranges
  if (value > seen.high * kMargin)
    warnings.push_back(fmt::format("{} {} is {:.3g} times the most of any run ({})",
                                   what,
                                   format_quantity(value, unit),
                                   value / seen.high,
                                   format_quantity(seen.high, unit)));
  if (value * kMargin < seen.low)
    warnings.push_back(fmt::format("{} {} is {:.3g} times the least of any run ({})",
                                   what,
                                   format_quantity(value, unit),
                                   value / seen.low,
                                   format_quantity(seen.low, unit)));
}

// Where credible opinions lie further apart than the interval of the fit's own law, which knows of
// no other.
void warn_of_disagreement(const Plan& plan,
                          const AveragedPlan& average,
                          std::vector<std::string>& warnings) {
  std::vector<Opinion> all;
  std::copy_if(average.opinions.begin(),
               average.opinions.end(),
               std::back_inserter(all),
               [](const Opinion& opinion) { return opinion.near; });
  const auto [least, most] =
      std::minmax_element(all.begin(), all.end(), [](const Opinion& a, const Opinion& b) {
        return a.optimum.params < b.optimum.params;
      });
  constexpr double kMargin = 1.001;
  const double low = plan.best.params.low.value_or(plan.valley.params.low);
  const double high = plan.best.params.high.value_or(plan.valley.params.high);
  if (least->optimum.params * kMargin >= low && most->optimum.params <= high * kMargin) return;
  const bool laws = std::any_of(
      all.begin(), all.end(), [&](const Opinion& o) { return o.law != all.front().law; });
  warnings.push_back(
      fmt::format("{} disagree: {:.3g} to {:.3g} epochs, {} to {} parameters; more than the {} of "
                  "{} says",
                  laws ? "laws" : "minima of the fit",
                  most->optimum.epochs,
                  least->optimum.epochs,
                  format_quantity(least->optimum.params),
                  format_quantity(most->optimum.params),
                  plan.best.params.low ? "interval" : "valley",
                  all.front().law->name()));
}

}  // namespace

std::vector<std::string> find_warnings(const fit::Fit& fit, const Plan& plan) {
  const Request& request = plan.request;
  const Optimum& best = plan.optimum;
  std::vector<std::string> warnings;
  if (!fit.trusted()) warnings.emplace_back("the fit is not to be trusted (see its doubts)");
  if (!fit.law->describes_repetition() && best.epochs > 1)
    warnings.push_back(fmt::format(
        "the law {} counts a repeated token as a fresh one; it cannot judge {:.3g} epochs",
        fit.law->name(),
        best.epochs));
  if (best.at_harm)
    warnings.push_back(fmt::format(
        "by this law more compute on these tokens does harm: {:.3g} % of the budget is spent",
        100 * 6 * best.params * best.tokens / request.budget.value));
  if (best.at_max_epochs)
    warnings.emplace_back("the limit of epochs binds: more epochs would lower the loss");
  if (best.at_max_params)
    warnings.emplace_back("the limit of parameters binds: a larger model would lower the loss");
  if (best.at_max_time && std::isfinite(request.budget.value) &&
      6 * best.params * best.tokens < 0.999 * request.budget.value)
    warnings.push_back(fmt::format("the limit of time binds: it allows {:.3g} % of the budget",
                                   100 * 6 * best.params * best.tokens / request.budget.value));
  if (best.at_end)
    warnings.emplace_back("the optimum lies at the end of the model sizes searched (100 to 1e14)");
  warn_beyond("budget", 6 * best.params * best.tokens, fit.range.flops, "flop", warnings);
  warn_beyond("parameters", best.params, fit.range.params, "", warnings);
  warn_beyond("tokens", best.tokens, fit.range.tokens, "tok", warnings);
  if (best.epochs > 1) warn_beyond("epochs", best.epochs, fit.range.epochs, "", warnings);
  warn_beyond("unique tokens", request.unique.value, fit.range.unique_tokens, "tok", warnings);
  if (plan.average) warn_of_disagreement(plan, *plan.average, warnings);
  for (const fit::Estimate& e : fit.parameters)
    if (!e.identified) warnings.push_back(fmt::format("{} is not identified by the runs", e.name));
  return warnings;
}

}  // namespace ration::plan
