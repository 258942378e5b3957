#include "plan/warnings.h"

#include <fmt/format.h>

#include <cmath>

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

}  // namespace

std::vector<std::string> find_warnings(const fit::Fit& fit,
                                       const Request& request,
                                       const Optimum& best) {
  std::vector<std::string> warnings;
  if (!fit.trusted()) warnings.emplace_back("the fit is not to be trusted (see its doubts)");
  if (!fit.law->describes_repetition() && best.epochs > 1)
    warnings.push_back(fmt::format(
        "the law {} counts a repeated token as a fresh one; it cannot judge {:.3g} epochs",
        fit.law->name(),
        best.epochs));
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
  for (const fit::Estimate& e : fit.parameters)
    if (!e.identified) warnings.push_back(fmt::format("{} is not identified by the runs", e.name));
  return warnings;
}

}  // namespace ration::plan
