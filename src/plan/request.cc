#include "plan/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "plan/budget_line.h"

namespace ration::plan {
namespace {

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

bool positive(double value) { return std::isfinite(value) && value > 0; }

std::vector<Speed> by_size(std::vector<Speed> speeds) {
  std::sort(speeds.begin(), speeds.end(), [](const Speed& a, const Speed& b) {
    return a.params < b.params;
  });
  return speeds;
}

void check_pools(const Request& request, std::vector<Error>& problems) {
  if (request.pools.empty()) return;
  double shares = 0, unique = 0;
  bool free = false;
  std::set<std::string> names;
  for (const Pool& pool : request.pools) {
    if (!names.insert(pool.name).second)
      problems.push_back(wrong(fmt::format("two pools are called {}", pool.name),
                               "give each a name of its own, or add their tokens up"));
    if (!positive(pool.unique.value))
      problems.push_back(
          wrong(fmt::format("the pool {} holds no tokens", pool.name), "--pool web=20Btok"));
    if (pool.share && !(*pool.share > 0 && *pool.share <= 1))
      problems.push_back(
          wrong(fmt::format("a share of {:g} for the pool {}", *pool.share, pool.name),
                "a part of the training tokens above 0 and at most 1"));
    free |= !pool.share;
    shares += pool.share.value_or(0);
    unique += pool.unique.value;
  }
  constexpr double kRounding = 1e-9;
  if (free ? shares >= 1 : std::abs(shares - 1) > kRounding)
    problems.push_back(wrong(fmt::format("the shares of the pools add up to {:g}", shares),
                             free ? "leave something for the pools without a share"
                                  : "shares of all pools add up to 1"));
  if (std::abs(unique - request.unique.value) > kRounding * unique)
    problems.push_back(wrong(fmt::format("the pools hold {} unique tokens together, not {}",
                                         format_quantity(unique),
                                         format_quantity(request.unique.value)),
                             "leave --unique out where there are pools"));
}

void check_time(const Request& request, std::vector<Error>& problems) {
  if (!request.time) return;
  if (!positive(*request.time))
    problems.push_back(wrong("the time is not above 0 seconds", "--time 24h"));
  if (request.speeds.empty())
    problems.push_back(wrong("a limit of time needs a measured speed", "--speed 124M=250ktok"));
  const std::vector<Speed> speeds = by_size(request.speeds);
  for (std::size_t i = 0; i < speeds.size(); ++i) {
    if (!positive(speeds[i].params.value) || !positive(speeds[i].tokens_per_second))
      problems.push_back(wrong("a speed is not above 0", "--speed 124M=250ktok"));
    if (i == 0) continue;
    if (speeds[i].params == speeds[i - 1].params)
      problems.push_back(wrong(
          fmt::format("two speeds for {} parameters", format_quantity(speeds[i].params.value)),
          "give one for each size"));
    else if (speeds[i].tokens_per_second > speeds[i - 1].tokens_per_second)
      problems.push_back(wrong(fmt::format("{} parameters are said to train faster than {}",
                                           format_quantity(speeds[i].params.value),
                                           format_quantity(speeds[i - 1].params.value)),
                               "measure again, or leave the slower small one out"));
  }
}

}  // namespace

std::vector<Error> check(const Request& request) {
  std::vector<Error> problems;
  const bool unlimited = std::isinf(request.budget.value) && request.budget.value > 0;
  if (!positive(request.budget.value) && !(unlimited && request.time))
    problems.push_back(wrong("the budget is not above 0 FLOPs", "--budget 1e21flop"));
  if (!positive(request.unique.value))
    problems.push_back(wrong("the unique tokens are not above 0", "--unique 25Btok"));
  if (request.max_epochs && !positive(request.max_epochs->value))
    problems.push_back(wrong("the limit of epochs is not above 0", "--max-epochs 8"));
  if (!(request.tolerance > 0 && request.tolerance < 1))
    problems.push_back(wrong(fmt::format("a tolerance of {}", request.tolerance),
                             "a share of the loss between 0 and 1, such as 0.001"));
  if (request.params && !positive(request.params->value))
    problems.push_back(wrong("the model size is not above 0", "--params 1.3B"));
  if (request.tokens && !positive(request.tokens->value))
    problems.push_back(wrong("the training tokens are not above 0", "--tokens 100Btok"));
  if (request.params && request.tokens)
    problems.push_back(wrong("parameters and tokens are both given: nothing is left to plan",
                             "`ration predict` gives the loss of a given run"));
  if (request.max_params && !positive(request.max_params->value))
    problems.push_back(wrong("the largest model is not above 0 parameters", "--max-params 7B"));
  if (!(std::isfinite(request.served.value) && request.served.value >= 0))
    problems.push_back(wrong("the tokens served are below 0", "--served 1Ttok"));
  check_pools(request, problems);
  check_time(request, problems);
  if (!problems.empty()) return problems;
  if (!BudgetLine::exists(request))
    problems.push_back(
        wrong("no model of 100 to 1e14 parameters can be trained within these limits",
              "raise the budget or the time, or drop a limit (--max-params, --params, --tokens, "
              "--served)"));
  return problems;
}

Request scaled(Request request, double compute, double data) {
  request.budget = request.budget * compute;
  if (request.time) *request.time *= compute;
  request.unique = request.unique * data;
  for (Pool& pool : request.pools) pool.unique = pool.unique * data;
  return request;
}

double tokens_per_second(const Request& request, Params params) {
  const std::vector<Speed> speeds = by_size(request.speeds);
  const double log_n = std::log(params.value);
  const auto log_size = [&](std::size_t i) { return std::log(speeds[i].params.value); };
  const auto log_speed = [&](std::size_t i) { return std::log(speeds[i].tokens_per_second); };
  if (log_n <= log_size(0)) return speeds.front().tokens_per_second;
  for (std::size_t i = 1; i < speeds.size(); ++i) {
    if (log_n > log_size(i)) continue;
    const double part = (log_n - log_size(i - 1)) / (log_size(i) - log_size(i - 1));
    return std::exp(log_speed(i - 1) + part * (log_speed(i) - log_speed(i - 1)));
  }
  return speeds.back().tokens_per_second * speeds.back().params.value / params.value;
}

}  // namespace ration::plan
