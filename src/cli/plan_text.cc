#include "cli/plan_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "cli/fit_text.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

using Format = std::string (*)(double);

std::string amount_text(const plan::Amount& amount, Format format) {
  if (!amount.low || amount.low == amount.high) return format(amount.value);
  if (!amount.high)
    return fmt::format("{:<9} ({} or more)", format(amount.value), format(*amount.low));
  return fmt::format(
      "{:<9} ({} to {})", format(amount.value), format(*amount.low), format(*amount.high));
}

std::string three_digits(double value) { return format_quantity(value); }
std::string tokens_digits(double value) { return format_quantity(value, "tok"); }
std::string plain_digits(double value) { return fmt::format("{:.3g}", value); }
std::string loss_digits(double value) { return fmt::format("{:.4f}", value); }

std::string plan_row(std::string_view name,
                     const plan::Amount& best,
                     const plan::Amount& baseline,
                     Format format) {
  return fmt::format(
      "  {:<11} {:<38} {}\n", name, amount_text(best, format), amount_text(baseline, format));
}

// What was asked, on one line.
std::string request_text(const plan::Request& request) {
  std::string text;
  if (std::isfinite(request.budget.value)) text = format_quantity(request.budget.value, "flop");
  if (request.time) text += (text.empty() ? "" : " within ") + format_duration(*request.time);
  text += fmt::format(" and {} unique", format_quantity(request.unique.value, "tok"));
  if (request.pools.size() > 1) text += fmt::format(" in {} pools", request.pools.size());
  if (request.params)
    text += fmt::format(", {} parameters", format_quantity(request.params->value));
  if (request.tokens)
    text += fmt::format(", trained on {}", format_quantity(request.tokens->value, "tok"));
  return text;
}

// What the recommendation costs, where that is not just the budget.
std::string spending_text(const plan::Plan& plan) {
  std::string text;
  const double served = 2 * plan.best.params.value * plan.request.served.value;
  if (served > 0)
    text += fmt::format("training takes {}, serving {} tokens {}\n",
                        format_quantity(plan.flops, "flop"),
                        format_quantity(plan.request.served.value),
                        format_quantity(served, "flop"));
  else if (plan.flops < 0.999 * plan.request.budget.value)
    text += fmt::format("training takes {}\n", format_quantity(plan.flops, "flop"));
  if (plan.seconds)
    text += fmt::format("at the measured speeds it lasts {}\n", format_duration(*plan.seconds));
  return text;
}

std::string flops_digits(double value) { return format_quantity(value, "flop"); }

std::string pools_text(const plan::Plan& plan) {
  if (plan.pools.size() < 2) return {};
  std::vector<std::vector<std::string>> rows = {{"pool", "share", "tokens", "epochs"}};
  for (const plan::PoolUse& pool : plan.pools)
    rows.push_back({pool.name,
                    fmt::format("{:.3g} %", 100 * pool.share),
                    format_quantity(pool.tokens, "tok"),
                    fmt::format("{:.3g}", pool.epochs)});
  std::string text = "\n" + table(rows);
  if (plan.proportional_loss)
    text +=
        fmt::format("drawn in proportion to their sizes: loss {:.4f}\n", *plan.proportional_loss);
  return text;
}

// "3 laws", "5 minima of one law" or "7 minima of 3 laws".
std::string opinions_text(const std::vector<plan::Opinion>& opinions) {
  std::set<const fit::Law*> laws;
  for (const plan::Opinion& opinion : opinions) laws.insert(opinion.law);
  if (laws.size() == opinions.size()) return fmt::format("{} laws", laws.size());
  if (laws.size() == 1) return fmt::format("{} minima of one law", opinions.size());
  return fmt::format("{} minima of {} laws", opinions.size(), laws.size());
}

std::string average_text(const plan::AveragedPlan& average, const fit::Fit& fit) {
  const auto row = [](std::string_view name, const plan::Amount& amount, Format format) {
    return fmt::format("  {:<11} {}\n", name, amount_text(amount, format));
  };
  std::vector<plan::Opinion> near;
  for (const plan::Opinion& opinion : average.opinions)
    if (opinion.near) near.push_back(opinion);
  const auto [least, most] = std::minmax_element(
      near.begin(), near.end(), [](const plan::Opinion& a, const plan::Opinion& b) {
        return a.optimum.params < b.optimum.params;
      });
  std::string range;
  if (near.size() > 1)
    range =
        fmt::format("  {} and {} within its reach: {:.3g} to {:.3g} epochs, {} to {} parameters\n",
                    fit.law->name(),
                    near.size() - 1,
                    most->optimum.epochs,
                    least->optimum.epochs,
                    format_quantity(least->optimum.params),
                    format_quantity(most->optimum.params));
  return fmt::format("\naverage of {}{}\n",
                     opinions_text(average.opinions),
                     average.best.loss.low
                         ? fmt::format(" ({} interval over all)", percent(fit.interval))
                         : "") +
         row("parameters", average.best.params, three_digits) +
         row("tokens", average.best.tokens, tokens_digits) +
         row("epochs", average.best.epochs, plain_digits) +
         row("loss", average.best.loss, loss_digits) + range;
}

}  // namespace

std::string plan_text(const plan::Plan& plan, const fit::Fit& fit) {
  std::string text = fmt::format("{}, by the law {} of {} runs\n{}\n",
                                 request_text(plan.request),
                                 fit.law->name(),
                                 fit.runs,
                                 convention_text(fit));
  text += fmt::format("  {:<11} {:<38} {}\n",
                      "",
                      fit.draws.empty()
                          ? "recommended"
                          : fmt::format("recommended ({} interval)", percent(fit.interval)),
                      "plain Chinchilla plan");
  text += plan_row("parameters", plan.best.params, plan.baseline.params, three_digits);
  text += plan_row("tokens", plan.best.tokens, plan.baseline.tokens, tokens_digits);
  text += plan_row("epochs", plan.best.epochs, plan.baseline.epochs, plain_digits);
  text += plan_row("loss", plan.best.loss, plan.baseline.loss, loss_digits);
  if (plan.valley.params.low < plan.valley.params.high)
    text +=
        fmt::format("\nwithin {:g} % of that loss: {} to {} parameters, {:.3g} to {:.3g} epochs\n",
                    100 * plan.valley.tolerance,
                    format_quantity(plan.valley.params.low),
                    format_quantity(plan.valley.params.high),
                    plan.valley.epochs.low,
                    plan.valley.epochs.high);
  text += spending_text(plan);
  text += pools_text(plan);
  for (const plan::Alternative& other : plan.alternatives)
    text += fmt::format(
        "another minimum of the fit, {:.2g} % above the best, says {} parameters, {:.3g} epochs, "
        "loss {:.4f}\n",
        100 * (other.objective_ratio - 1),
        format_quantity(other.optimum.params),
        other.optimum.epochs,
        other.optimum.loss);
  if (plan.average) text += average_text(*plan.average, fit);
  if (!plan.other_laws.empty()) {
    text += "\nother laws, the nearest to the median first\n";
    for (const plan::OtherLaw& other : plan.other_laws)
      text += fmt::format("  {:<26} {:>9} parameters  {:>6.3g} epochs  loss {:.4f}\n",
                          other.law->name(),
                          format_quantity(other.optimum.params),
                          other.optimum.epochs,
                          other.optimum.loss);
  }
  return text;
}

std::string warnings_text(const plan::Plan& plan) {
  if (plan.warnings.empty()) return {};
  std::string text = "\nwarnings\n";
  for (const std::string& warning : plan.warnings) text += fmt::format("  {}\n", warning);
  return text;
}

namespace {

std::string exchange_text(const plan::Exchange& exchange) {
  const std::string times =
      exchange.factor == 2 ? "twice" : fmt::format("{:g} times", exchange.factor);
  const auto gain = [](const plan::Amount& amount) {
    std::string text = fmt::format("{:.4f}", amount.value);
    if (amount.low && amount.high)
      text += fmt::format(" ({:.4f} to {:.4f})", *amount.low, *amount.high);
    return text;
  };
  std::string text = fmt::format(
      "\n{} the unique tokens would take {} off the loss", times, gain(exchange.gain_of_data));
  constexpr double kNothing = 5e-5;
  if (exchange.gain_of_data.value > kNothing)
    text += exchange.compute_for_data ? fmt::format(",\n  as much as {:.3g} times the compute",
                                                    *exchange.compute_for_data)
                                      : ",\n  more than any compute could";
  return text + fmt::format("\n{} the compute would take {} off the loss\n",
                            times,
                            gain(exchange.gain_of_compute));
}

}  // namespace

std::string needed_text(const plan::Needed& needed) {
  std::string text =
      fmt::format("\nleast compute for that loss: {}\n", amount_text(needed.budget, flops_digits));
  if (needed.average)
    text += fmt::format("             by the average: {}\n",
                        amount_text(*needed.average, flops_digits));
  return text;
}

std::string outlook_text(const std::optional<plan::Exchange>& exchange,
                         const plan::Repetition& repetition) {
  std::string text = exchange ? exchange_text(*exchange) : "\n";
  if (repetition.half_life) {
    const plan::Amount& half = *repetition.half_life;
    text +=
        fmt::format("a repeated token is worth half a fresh one after {:.3g} repeats", half.value);
    if (half.low && half.high)
      text += fmt::format(" ({:.3g} to {:.3g})", *half.low, *half.high);
    else if (half.low)
      text += fmt::format(" ({:.3g} or more)", *half.low);
    else if (half.high)
      text += fmt::format(" ({:.3g} or less)", *half.high);
    text += '\n';
  }
  if (repetition.harmful_from)
    text += fmt::format("beyond {:.3g} epochs the law says that repeating harms\n",
                        *repetition.harmful_from);
  return text;
}

std::string repetition_text(const plan::Repetition& repetition) {
  std::vector<std::vector<std::string>> rows = {
      {"epochs", "tokens", "loss", "one more takes off", "worth of a repeat"}};
  for (const plan::EpochRow& row : repetition.rows)
    rows.push_back({fmt::format("{:g}", row.epochs),
                    format_quantity(row.tokens, "tok"),
                    fmt::format("{:.4f}", row.loss.value),
                    fmt::format("{:.5f}", row.gain),
                    fmt::format("{:.3f}", row.worth)});
  return fmt::format("\nwhat each epoch buys {} parameters\n", format_quantity(repetition.params)) +
         table(rows);
}

std::string frontier_text(const std::vector<plan::FrontierPoint>& points, const fit::Fit& fit) {
  const auto cell = [](const plan::Amount& amount, Format format) {
    return amount.low ? fmt::format("{} ({} to {})",
                                    format(amount.value),
                                    format(*amount.low),
                                    format(*amount.high))
                      : format(amount.value);
  };
  std::vector<std::vector<std::string>> rows = {
      {"budget",
       "parameters",
       "tokens",
       "epochs",
       fit.draws.empty() ? "loss" : percent(fit.interval) + " interval of the loss",
       "limit"}};
  for (const plan::FrontierPoint& point : points) {
    std::string limits;
    if (point.optimum.at_max_epochs) limits += " epochs";
    if (point.optimum.at_max_params) limits += " params";
    if (point.optimum.at_max_time) limits += " time";
    if (point.optimum.at_harm) limits += " harm";
    rows.push_back({format_quantity(point.budget.value, "flop"),
                    format_quantity(point.best.params.value),
                    format_quantity(point.best.tokens.value, "tok"),
                    cell(point.best.epochs, plain_digits),
                    cell(point.best.loss, loss_digits),
                    limits.empty() ? "" : limits.substr(1)});
  }
  return "\n" + table(rows);
}

}  // namespace ration::cli
