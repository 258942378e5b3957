#include "plan/remedies/combine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/parallel.h"
#include "base/text.h"
#include "plan/remedies/candidates.h"
#include "plan/remedies/json_parts.h"
#include "plan/remedies/row.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

// The request with U_eq for U and plain tokens for the charged ones: of D tokens trained on, c D
// are paid.
Request remedied(Request request, double multiplier, double compute) {
  request.unique = request.unique * multiplier;
  if (request.max_epochs) request.max_epochs = *request.max_epochs * (compute / multiplier);
  if (request.tokens) request.tokens = *request.tokens * compute;
  return request;
}

struct Drawn {
  double params = 0, tokens = 0, loss = 0, gain = 0;
};

// Plans made anew for every draw of the law and of m.
void add_intervals(const fit::Fit& fit, const Request& request, double level, RemediedPlan& plan) {
  const fit::Coordinates best = fit.coordinates();
  const std::vector<double>& log_m = plan.chosen.draws;
  constexpr std::size_t kGrid = 100;
  std::vector<Drawn> drawn(log_m.size());
  const Optimum& at = plan.with.optimum;
  parallel_for(drawn.size(), 0, [&](std::size_t b) {
    const fit::Coordinates& x = refit(fit, best, b);
    const double multiplier = std::exp(log_m[b]);
    const Request made = remedied(request, multiplier, plan.chosen.compute);
    const Optimum with = optimise(*fit.law, x, made, kGrid);
    drawn[b] = {with.params,
                with.tokens,
                loss_of(*fit.law, x, Params(at.params), Tokens(at.tokens), made.unique),
                optimise(*fit.law, x, request, kGrid).loss - with.loss};
  });
  const auto fill = [&](Amount& amount, const auto& member) {
    std::vector<double> values;
    for (const Drawn& draw : drawn) values.push_back(member(draw));
    if (values.empty()) return;
    const Amount interval = amount_of(std::move(values), level);
    amount.low = interval.low;
    amount.high = interval.high;
  };
  const double compute = plan.chosen.compute, unique = request.unique.value;
  fill(plan.params, [](const Drawn& d) { return d.params; });
  fill(plan.tokens, [&](const Drawn& d) { return d.tokens / compute; });
  fill(plan.epochs, [&](const Drawn& d) { return d.tokens / compute / unique; });
  fill(plan.loss, [](const Drawn& d) { return d.loss; });
  fill(plan.gain, [](const Drawn& d) { return d.gain; });
}

void add_product_loss(const fit::Fit& fit,
                      const Request& request,
                      double level,
                      RemediedPlan& plan) {
  const fit::Coordinates best = fit.coordinates();
  const Combination& product = *plan.product;
  constexpr std::size_t kGrid = 100;
  const auto loss = [&](std::span<const double> x, double multiplier) {
    return optimise(*fit.law, x, remedied(request, multiplier, product.compute), kGrid).loss;
  };
  std::vector<double> losses(product.draws.size());
  parallel_for(losses.size(), 0, [&](std::size_t b) {
    losses[b] = loss(refit(fit, best, b), std::exp(product.draws[b]));
  });
  plan.product_loss = amount_of(std::move(losses), level);
  plan.product_loss->value = loss(best, product.multiplier.value);
}

class Doubts {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    all.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  std::vector<std::string> all;
};

void doubt_row(const PriceRow& row, const RemediedPlan& plan, Doubts& doubts) {
  constexpr double kFarSize = 4, kFarEpochs = 2;
  const double size = plan.with.optimum.params / row.baseline.params.value;
  const double measured = row.baseline.tokens / row.baseline.unique;
  const double epochs = plan.with.optimum.tokens / plan.without.request.unique.value;
  if (size > kFarSize || size < 1 / kFarSize)
    doubts.add("{} was measured at {} parameters, the plan has {}",
               row.arm,
               format_quantity(row.baseline.params.value),
               format_quantity(plan.with.optimum.params));
  if (epochs > kFarEpochs * measured || epochs < measured / kFarEpochs)
    doubts.add("{} was measured at {:.3g} epochs, the plan's compute is that of {:.3g}",
               row.arm,
               measured,
               epochs);
  if (row.has(Flag::saturated))
    doubts.add(
        "{} beats any number of unique tokens where it was measured: its multiplier is a "
        "bound from below",
        row.arm);
  if (row.has(Flag::law_fixed))
    doubts.add("{} was priced by a fit without refits: its interval holds the seeds' noise alone",
               row.arm);
  if (row.has(Flag::outside_fit)) doubts.add("{} was measured where the fit has no runs", row.arm);
  if (row.multiplier_with_donors)
    doubts.add(
        "{} needs further runs, which this budget holds; were they free, its multiplier would be "
        "{:.3g}",
        row.arm,
        row.effective.multiplier);
}

std::vector<std::string> doubts_of(const fit::Fit& fit,
                                   const PriceList& list,
                                   const Candidates& candidates,
                                   const RemediedPlan& plan) {
  Doubts doubts;
  doubts.all = candidates.left_out;
  if (plan.chosen.arms.empty()) {
    doubts.add("no remedy is claimed to pay: the plan is that of repetition alone");
    return doubts.all;
  }
  if (fit.draws.empty())
    doubts.add("the fit has no refits: intervals hold what is not known of the multiplier alone");
  const std::set<std::string> chosen(plan.chosen.arms.begin(), plan.chosen.arms.end());
  for (const PriceRow* row : candidates.rows)
    if (plan.chosen.arm.empty() ? chosen.contains(row->arm) : row->arm == plan.chosen.arm)
      doubt_row(*row, plan, doubts);
  for (const Sizes& sizes : list.sizes)
    if (chosen.contains(sizes.arm) && !sizes.agree)
      doubts.add(
          "the multiplier of {} changes with size, by N^{:.2g}", sizes.arm, sizes.slope.value);
  if (plan.chosen.arm.empty())
    doubts.add("{} were measured in pairs that multiply; all of them together may do less",
               fmt::join(plan.chosen.arms, ", "));
  if (plan.product)
    doubts.add(
        "{} were not all measured together: their product, {:.3g}, is what they would be "
        "worth if none did what another does already",
        fmt::join(plan.product->arms, ", "),
        plan.product->multiplier.value);
  if (candidates.sets.size() > 1)
    doubts.add("this is the best of {} candidates, and the best of several looks better than it is",
               candidates.sets.size());
  return doubts.all;
}

Result<void> check_list(const fit::Fit& fit, const Request& request, const PriceList& list) {
  if (!request.pools.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "remedies are priced for one pool of unique tokens",
                 .hint = "give --unique in place of --pool"};
  const auto other = [&](std::string_view what, std::string_view listed, std::string_view fitted) {
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("the price list is of the {} {}, the fit of {}", what, listed, fitted),
        .hint = "price the remedies with the fit that plans"};
  };
  if (list.law != fit.law->name()) return other("law", list.law, fit.law->name());
  if (list.params_convention != fit.params_convention)
    return other("count of parameters", list.params_convention, fit.params_convention);
  if (list.fit != fit_digest(fit))
    return Error{.kind = ErrorKind::input,
                 .what = "the price list was made by another fit than the one that plans",
                 .hint = "`ration remedies --save-fit FILE` writes the fit that prices"};
  return {};
}

Json combination_json(const Combination& combination) {
  return {{"arms", combination.arms},
          {"multiplier", amount_json(combination.multiplier)},
          {"compute", combination.compute},
          {"arm", combination.arm.empty() ? Json(nullptr) : Json(combination.arm)}};
}

}  // namespace

Result<RemediedPlan> plan_with_remedies(const fit::Fit& fit,
                                        const Request& request,
                                        const PriceList& list) {
  if (Result<void> usable = check_list(fit, request, list); !usable)
    return std::move(usable).error();
  Result<Plan> without = make_plan(fit, request);
  if (!without) return std::move(without).error();
  Candidates candidates = candidates_of(list, without->optimum.params, without->optimum.epochs);
  RemediedPlan plan{.without = *without, .with = *without, .chosen = {.multiplier = {1}}};
  if (!candidates.sets.empty()) {
    plan.chosen = candidates.sets.front();
    Result<Plan> with =
        make_plan(fit, remedied(request, plan.chosen.multiplier.value, plan.chosen.compute));
    if (!with) return std::move(with).error();
    plan.with = std::move(*with);
  }
  const double compute = plan.chosen.compute;
  const double tokens = plan.with.optimum.tokens / compute;
  plan.params = {plan.with.optimum.params};
  plan.tokens = {tokens};
  plan.epochs = {tokens / request.unique.value};
  plan.loss = {plan.with.optimum.loss};
  plan.gain = {plan.without.optimum.loss - plan.with.optimum.loss};
  plan.training = training_flops(Params(plan.params.value), Tokens(tokens));
  plan.overhead = Flops(plan.training.value * (compute - 1));
  if (!plan.chosen.arms.empty()) add_intervals(fit, request, list.level, plan);
  if (candidates.everything && candidates.everything->arms.size() > plan.chosen.arms.size()) {
    plan.product = candidates.everything;
    add_product_loss(fit, request, list.level, plan);
  }
  plan.doubts = doubts_of(fit, list, candidates, plan);
  return plan;
}

Json to_json(const RemediedPlan& plan, const fit::Fit& fit) {
  return {{"schema", "ration.remedied_plan/1"},
          {"without", to_json(plan.without, fit)},
          {"with", to_json(plan.with, fit)},
          {"chosen", combination_json(plan.chosen)},
          {"product", plan.product ? combination_json(*plan.product) : Json(nullptr)},
          {"product_loss", amount_json(plan.product_loss)},
          {"params", amount_json(plan.params)},
          {"tokens", amount_json(plan.tokens)},
          {"epochs", amount_json(plan.epochs)},
          {"loss", amount_json(plan.loss)},
          {"gain", amount_json(plan.gain)},
          {"training_flops", plan.training.value},
          {"overhead_flops", plan.overhead.value},
          {"doubts", plan.doubts}};
}

}  // namespace ration::plan
