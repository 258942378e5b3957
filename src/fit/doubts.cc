#include "fit/doubts.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/fisher_f.hpp>
#include <cmath>
#include <numeric>

namespace ration::fit {
namespace {

// Beyond this multiple of the largest repeat, decay changes the effective number by less than 5 %
// anywhere in the data: (1 - exp(-0.1))/0.1 = 0.952.
constexpr double kIndistinguishable = 10;

double largest_repeat(const Problem& problem, const Coordinates& x, Parameter::Role role) {
  double largest = 0;
  for (std::size_t i = 0; i < problem.rows(); ++i) {
    const double log_n = problem.points.log_params[i];
    const double repeat = role == Parameter::Role::params_decay
                              ? std::expm1(log_n - problem.law.log_unrepeated_params(
                                                       x, log_n, problem.points.log_unique[i]))
                              : problem.points.repeats[i];
    largest = std::max(largest, repeat);
  }
  return largest;
}

bool decays(const Parameter& parameter) {
  return parameter.role == Parameter::Role::data_decay ||
         parameter.role == Parameter::Role::params_decay;
}

// How near to a bound counts as on it. The objective is flat towards both ends of a decay constant,
// so that a descent may stop short of the bound there.
double nearness(const Parameter& parameter) { return decays(parameter) ? 0.5 : 1e-6; }

double spread(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *high - *low;
}

int free_parameters(const Fit& fit) {
  return static_cast<int>(std::count_if(
      fit.parameters.begin(), fit.parameters.end(), [](const Estimate& e) { return !e.fixed; }));
}

// As many runs of equal weight would say as much (Kish).
double effective_runs(const Problem& problem) {
  double sum = 0, squares = 0;
  for (const double weight : problem.weights) sum += weight, squares += weight * weight;
  return sum * sum / squares;
}

// An exponent of something in which no two runs differ.
void doubt_exponents(const Problem& problem, const Fit& fit, std::vector<Doubt>& doubts) {
  using Role = Parameter::Role;
  constexpr double kSame = 1e-9;
  const bool one_size = spread(problem.points.log_params) < kSame;
  const bool one_length = spread(problem.points.log_tokens) < kSame;
  for (std::size_t j = 0; j < fit.parameters.size(); ++j) {
    if (fit.parameters[j].fixed) continue;
    const Parameter& parameter = problem.law.parameters()[j];
    const Role role = parameter.role;
    const std::string name(parameter.name);
    if (one_size && (role == Role::params_exponent || role == Role::shared_exponent))
      doubts.push_back({name, "all runs have the same number of parameters", true});
    if (one_length && (role == Role::tokens_exponent || role == Role::shared_exponent))
      doubts.push_back({name, "all runs saw the same number of tokens", true});
    if (one_size && one_length && role == Role::compute_exponent)
      doubts.push_back({name, "all runs took the same compute", true});
  }
}

void doubt_design(const Problem& problem, const Fit& fit, std::vector<Doubt>& doubts) {
  const int free = free_parameters(fit);
  if (fit.cells <= free)
    doubts.push_back({"runs",
                      fmt::format("{} different settings cannot determine {} parameters; add runs, "
                                  "or choose a law with fewer",
                                  fit.cells,
                                  free),
                      true});
  else if (3 * free > fit.cells)
    doubts.push_back({"runs",
                      fmt::format("{} parameters from {} different settings: fewer than three "
                                  "settings a parameter",
                                  free,
                                  fit.cells)});
  const double effective = effective_runs(problem);
  if (fit.cells > free && !(effective > free))
    doubts.push_back({"runs",
                      fmt::format("a few runs weigh so much that the others hardly count: as much "
                                  "as {:.2g} runs of equal weight, for {} parameters",
                                  effective,
                                  free),
                      true});
  doubt_exponents(problem, fit, doubts);
  if (!problem.law.allocates()) return;
  std::vector<double> ratio(problem.rows());
  for (std::size_t i = 0; i < ratio.size(); ++i)
    ratio[i] = problem.points.log_tokens[i] - problem.points.log_params[i];
  if (spread(ratio) < std::log(8))
    doubts.push_back({"design",
                      fmt::format("tokens per parameter span a factor of {:.2g} only (8 or more "
                                  "separate A from B well)",
                                  std::exp(spread(ratio)))});
}

void doubt_repetition(const Problem& problem, const Fit& fit, std::vector<Doubt>& doubts) {
  if (!problem.law.describes_repetition()) return;
  const double most =
      *std::max_element(problem.points.repeats.begin(), problem.points.repeats.end());
  if (most <= 0) {
    for (const Parameter& parameter : problem.law.parameters())
      if (parameter.role == Parameter::Role::data_decay ||
          parameter.role == Parameter::Role::penalty)
        doubts.push_back({std::string(parameter.name),
                          "no run repeats its tokens, so nothing says what repeats cost",
                          true});
    return;
  }
  if (most < 5)
    doubts.push_back({"design",
                      fmt::format("no run repeats its tokens more than {:.2g} times (5 or more "
                                  "show the decay)",
                                  most)});
  if (spread(problem.points.log_unique) < 1e-9)
    doubts.push_back({"design", "all runs share one number of unique tokens"});
  const Coordinates best = fit.coordinates();
  for (const Parameter& parameter : problem.law.parameters())
    if (parameter.role == Parameter::Role::params_decay &&
        largest_repeat(problem, best, parameter.role) <= 0)
      doubts.push_back({std::string(parameter.name),
                        "no run has more parameters than its unique tokens can feed"});
}

void doubt_parameter(const Parameter& parameter, const Estimate& e, std::vector<Doubt>& doubts) {
  if (e.fixed) return;
  const bool exponent = parameter.is_exponent();
  if (e.at_bound)
    doubts.push_back(
        {e.name,
         fmt::format("the best value {:.6g} lies on the edge of what was searched", e.value),
         exponent});
  if (e.identified) return;
  if (parameter.role == Parameter::Role::floor && e.high)
    doubts.push_back({e.name, "the runs allow a floor of 0: none is close enough to it"});
  else if (e.low)
    doubts.push_back(
        {e.name, fmt::format("not identified: at least {:.6g}, no upper end", *e.low), exponent});
  else if (e.high)
    doubts.push_back(
        {e.name, fmt::format("not identified: at most {:.6g}, no lower end", *e.high), exponent});
  else
    doubts.push_back({e.name,
                      "not identified: the runs bound it on neither side",
                      exponent || parameter.role == Parameter::Role::data_decay});
}

// A law bends to any losses, the more so the fewer they are. Whether it explains more than it would
// of losses that have nothing to do with the runs: the F test that all but one of its parameters do
// nothing, with the share that sums of absolute deviations leave in place of squared ones.
void doubt_residuals(const Problem& problem, const Fit& fit, std::vector<Doubt>& doubts) {
  std::vector<double> sorted(problem.log_loss.begin(), problem.log_loss.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double median = *middle;
  const std::vector<double> about_law = residuals(problem, fit.coordinates());
  double left = 0, all = 0;
  for (std::size_t i = 0; i < about_law.size(); ++i) {
    left += problem.weights[i] * std::abs(about_law[i]);
    all += problem.weights[i] * std::abs(problem.log_loss[i] - median);
  }
  const double share = left / all;
  constexpr double kUnexplained = 0.7;
  const double free = free_parameters(fit), spare = effective_runs(problem) - free;
  double least = 0;  // of F
  if (free > 1 && spare > 0) {
    constexpr double kByChance = 1e-3;
    const boost::math::fisher_f_distribution<> by_chance(free - 1, spare);
    least = quantile(complement(by_chance, kByChance));
  }
  const double f = (1 - share * share) / (free - 1) / (share * share / spare);
  if (share > kUnexplained)
    doubts.push_back({"residuals",
                      fmt::format("the law leaves {:.0f} % of the spread of the losses unexplained",
                                  100 * share),
                      true});
  else if (f < least)
    doubts.push_back({"residuals",
                      fmt::format("{} parameters that leave {:.0f} % of the spread of {} losses "
                                  "unexplained may do so of losses put in any order",
                                  free,
                                  100 * share,
                                  fit.runs),
                      true});
}

void doubt_search(const Problem& problem, const Fit& fit, std::vector<Doubt>& doubts) {
  constexpr double kUnfinished = 1e-6;
  if (fit.search.promised_fall > kUnfinished)
    doubts.push_back({"search",
                      fmt::format("the search ended while a further step promised {:.1e} of the "
                                  "objective ({})",
                                  fit.search.promised_fall,
                                  fit.search.stopped),
                      true});
  if (fit.search.starts > 1 && fit.search.agree == 1)
    doubts.push_back({"search", "only one start reached the best minimum; a lower one may exist"});
  if (fit.minima.size() < 2) return;
  std::string spans;
  for (std::size_t j = 0; j < fit.parameters.size(); ++j) {
    if (!decays(problem.law.parameters()[j])) continue;
    double low = HUGE_VAL, high = 0;
    for (const NearMinimum& m : fit.minima)
      low = std::min(low, m.values[j]), high = std::max(high, m.values[j]);
    spans += fmt::format("; {} {:.4g} to {:.4g}", fit.parameters[j].name, low, high);
  }
  doubts.push_back(
      {"search",
       fmt::format("{} minima lie within the noise of the best one{}", fit.minima.size(), spans)});
}

}  // namespace

std::vector<Estimate> estimates(const Problem& problem, const Coordinates& best, const Fit& fit) {
  const std::span<const Parameter> parameters = problem.law.parameters();
  std::vector<Estimate> all;
  for (std::size_t j = 0; j < parameters.size(); ++j) {
    const Parameter& parameter = parameters[j];
    const double near = nearness(parameter);
    Estimate e{.name = std::string(parameter.name), .value = parameter.value(best[j])};
    e.fixed = problem.lower[j] == problem.upper[j];
    const bool of_repeats = decays(parameter) || parameter.role == Parameter::Role::penalty;
    const double most = of_repeats ? largest_repeat(problem, best, parameter.role) : 0;
    if (of_repeats && most <= 0 && !e.fixed) {  // the law does not depend on it here
      e.identified = false;
      all.push_back(std::move(e));
      continue;
    }
    e.at_bound =
        !e.fixed && (best[j] <= problem.lower[j] + near || best[j] >= problem.upper[j] - near);
    if (e.fixed) {
      e.low = e.high = e.value;
    } else if (!fit.draws.empty()) {
      std::vector<double> values;
      for (const Coordinates& draw : fit.draws) values.push_back(draw[j]);
      const Span ends = percentile_interval(values, fit.interval);
      const bool open_low = ends.low <= problem.lower[j] + near;
      bool open_high = ends.high >= problem.upper[j] - near;
      if (decays(parameter))
        open_high =
            open_high || parameter.value(ends.high) >=
                             kIndistinguishable * largest_repeat(problem, best, parameter.role);
      if (!open_low) e.low = parameter.value(ends.low);
      if (open_low && parameter.role == Parameter::Role::floor) e.low = 0;
      if (!open_high) e.high = parameter.value(ends.high);
      e.identified = !open_low && !open_high;
    }
    all.push_back(std::move(e));
  }
  return all;
}

std::vector<Doubt> find_doubts(const Problem& problem, const Fit& fit, int resamples) {
  std::vector<Doubt> doubts;
  doubt_design(problem, fit, doubts);
  doubt_repetition(problem, fit, doubts);
  for (std::size_t j = 0; j < fit.parameters.size(); ++j)
    doubt_parameter(problem.law.parameters()[j], fit.parameters[j], doubts);
  doubt_search(problem, fit, doubts);
  doubt_residuals(problem, fit, doubts);
  constexpr int kFewResamples = 100;
  if (resamples > 0 && resamples < kFewResamples)
    doubts.push_back(
        {"runs",
         fmt::format("the ends of intervals rest on {} resamples: {} or more place them",
                     resamples,
                     kFewResamples)});
  return doubts;
}

}  // namespace ration::fit
