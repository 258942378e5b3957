#include "fit/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/parallel.h"
#include "base/text.h"
#include "fit/doubts.h"
#include "fit/draws.h"
#include "fit/observations.h"
#include "fit/search.h"
#include "fit/uncertainty.h"

namespace ration::fit {
namespace {

Error option_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

const Parameter* find_parameter(const Law& law, std::string_view name) {
  for (const Parameter& parameter : law.parameters())
    if (parameter.name == name) return &parameter;
  return nullptr;
}

void check_fixed(const Options& options, const Law& law, std::vector<Error>& problems) {
  std::vector<std::string> names;
  for (const Parameter& parameter : law.parameters()) names.emplace_back(parameter.name);
  for (const auto& [name, value] : options.fixed) {
    const Parameter* parameter = find_parameter(law, name);
    if (parameter == nullptr) {
      problems.push_back(
          option_error(fmt::format("law {} has no parameter \"{}\"", law.name(), name),
                       fmt::format("its parameters: {}", fmt::join(names, ", "))));
      continue;
    }
    const double low = parameter->value(parameter->lower);
    const double high = parameter->value(parameter->upper);
    if (!(value >= low && value <= high))
      problems.push_back(option_error(fmt::format("{} cannot be held at {}", name, value),
                                      fmt::format("its range is {:.4g} to {:.4g}", low, high)));
  }
}

// The number of what each run is resampled with, in order of appearance, and how many there are.
std::pair<std::vector<std::size_t>, std::size_t> number_cells(const std::vector<Observation>& runs,
                                                              Resample resample) {
  std::map<std::tuple<std::string, double, double, double>, std::size_t> numbers;
  std::vector<std::size_t> cell_of;
  for (const Observation& run : runs) {
    auto key = std::tuple(std::string(), run.params.value, run.tokens.value, run.unique.value);
    if (!run.run.empty())
      key = {"run " + run.run, 0, 0, 0};
    else if (resample == Resample::runs)
      key = {fmt::format("row {}", cell_of.size()), 0, 0, 0};
    else if (!run.cell.empty())
      key = {"cell " + run.cell, 0, 0, 0};
    cell_of.push_back(numbers.emplace(key, numbers.size()).first->second);
  }
  return {std::move(cell_of), numbers.size()};
}

// Values of a coordinate for its profile: for decay constants their whole range, on which the
// objective is flat; for others as far as the bootstrap or the standard error reaches.
std::vector<double> profile_values(const Problem& problem,
                                   const Coordinates& best,
                                   std::size_t j,
                                   const StandardErrors& errors,
                                   const std::vector<Coordinates>& draws,
                                   int points) {
  constexpr double kErrors = 4;
  double reach = std::isfinite(errors.sandwich[j]) ? kErrors * errors.sandwich[j] : 0;
  for (const Coordinates& draw : draws) reach = std::max(reach, 1.2 * std::abs(draw[j] - best[j]));
  double low = std::max(problem.lower[j], best[j] - reach);
  double high = std::min(problem.upper[j], best[j] + reach);
  const Parameter::Role role = problem.law.parameters()[j].role;
  if (role == Parameter::Role::data_decay || role == Parameter::Role::params_decay || !(reach > 0))
    low = problem.lower[j], high = problem.upper[j];
  std::vector<double> values;
  for (int k = 0; k < points; ++k) values.push_back(std::lerp(low, high, k / (points - 1.0)));
  return values;
}

// The outermost crossing of `level` on each side of the lowest value, between the two values beside
// it.
std::pair<std::optional<double>, std::optional<double>> crossings(
    const std::vector<double>& values, const std::vector<double>& heights, double level) {
  std::pair<std::optional<double>, std::optional<double>> ends;
  const auto between = [&](std::size_t outside, std::size_t inside) {
    const double share = (level - heights[inside]) / (heights[outside] - heights[inside]);
    return std::lerp(values[inside], values[outside], std::isfinite(share) ? share : 0.0);
  };
  const std::size_t last = values.size() - 1;
  std::size_t first_in = 0, last_in = last;
  while (first_in < last && heights[first_in] > level) ++first_in;
  while (last_in > first_in && heights[last_in] > level) --last_in;
  if (first_in > 0 && heights[first_in] <= level) ends.first = between(first_in - 1, first_in);
  if (last_in < last && heights[last_in] <= level) ends.second = between(last_in + 1, last_in);
  return ends;
}

// The profile of one free parameter, and where it crosses the interval's level.
Profile profile_of(const Problem& problem,
                   const std::vector<Minimum>& minima,
                   std::size_t j,
                   const StandardErrors& errors,
                   const Options& options,
                   const std::vector<Coordinates>& draws,
                   Estimate& e) {
  const Coordinates& best = minima.front().x;
  const Parameter& parameter = problem.law.parameters()[j];
  const double z = two_sided_quantile(options.interval);
  const double n = problem.total_weight();
  const double level = std::isinf(problem.delta) ? z * z / n : z * z / (2 * n);
  std::vector<double> values =
      profile_values(problem, best, j, errors, draws, options.profile_points);
  values.insert(std::upper_bound(values.begin(), values.end(), best[j]), best[j]);
  Profile curve{.name = e.name};
  curve.objectives = profile(problem, minima, j, values);
  std::vector<double> heights;  // ln of the objective over the least
  for (double& objective : curve.objectives) {
    objective = std::max(objective, minima.front().objective);
    heights.push_back(std::log(objective / minima.front().objective));
  }
  const auto [low, high] = crossings(values, heights, level);
  if (low) e.profile_low = parameter.value(*low);
  if (high) e.profile_high = parameter.value(*high);
  for (const double value : values) curve.values.push_back(parameter.value(value));
  return curve;
}

// Standard errors and profiles of all free parameters.
void add_uncertainty(const Problem& problem,
                     const std::vector<Minimum>& minima,
                     const std::vector<std::size_t>& cell_of,
                     const Options& options,
                     Fit& fit) {
  const StandardErrors errors = standard_errors(problem, minima.front().x, cell_of);
  std::vector<Profile> curves(problem.law.size());
  parallel_for(curves.size(), options.threads, [&](std::size_t j) {
    Estimate& e = fit.parameters[j];
    if (e.fixed) return;
    const auto known = [](double error) { return std::isfinite(error) && error > 0; };
    if (known(errors.sandwich[j])) e.sandwich_error = errors.sandwich[j];
    if (known(errors.least_squares[j])) e.least_squares_error = errors.least_squares[j];
    if (options.profile_points > 0 && minima.front().objective > 0)
      curves[j] = profile_of(problem, minima, j, errors, options, fit.draws, e);
  });
  for (Profile& curve : curves)
    if (!curve.values.empty()) fit.profiles.push_back(std::move(curve));
}

// Draws scaled about the best, so that intervals hold what they promise. Where squares are fitted,
// residuals are smaller than the noise, by n - p against n, and draws of them spread too little.
// Where absolute deviations are, the draws of few runs fall on few values and spread too widely: by
// 7 to 20 % at 24 to 6 runs a parameter in simulated sweeps (tests/plan/coverage_test.cc), which
// 0.35 sqrt(p/n) follows.
void calibrate_draws(const Problem& problem,
                     const Coordinates& best,
                     std::size_t cells,
                     std::vector<Coordinates>& draws) {
  double free = 0;
  for (std::size_t j = 0; j < best.size(); ++j)
    if (problem.lower[j] < problem.upper[j]) ++free;
  const auto n = static_cast<double>(cells);
  if (n <= 2 * free) return;  // no factor helps there; the doubts say so
  constexpr double kExcess = 0.35;
  const double squares = share_inside_knee(problem, best);
  const double factor =
      squares * std::sqrt(n / (n - free)) + (1 - squares) * (1 - kExcess * std::sqrt(free / n));
  for (Coordinates& draw : draws)
    for (std::size_t j = 0; j < best.size(); ++j)
      draw[j] =
          std::clamp(best[j] + factor * (draw[j] - best[j]), problem.lower[j], problem.upper[j]);
}

template <class Get>
Span span_of(const std::vector<Observation>& runs, const Get& get) {
  Span span{get(runs.front()), get(runs.front())};
  for (const Observation& run : runs) {
    span.low = std::min(span.low, get(run));
    span.high = std::max(span.high, get(run));
  }
  return span;
}

Range range_of(const std::vector<Observation>& runs) {
  return {
      span_of(runs, [](const Observation& r) { return r.params.value; }),
      span_of(runs, [](const Observation& r) { return r.tokens.value; }),
      span_of(runs, [](const Observation& r) { return r.unique.value; }),
      span_of(runs, [](const Observation& r) { return epochs(r.tokens, r.unique).value; }),
      span_of(runs, [](const Observation& r) { return training_flops(r.params, r.tokens).value; })};
}

std::vector<double> natural(const Law& law, const Coordinates& x) {
  std::vector<double> values;
  for (std::size_t j = 0; j < x.size(); ++j) values.push_back(law.parameters()[j].value(x[j]));
  return values;
}

void hold_fixed(const Options& options, Problem& problem) {
  const std::span<const Parameter> parameters = problem.law.parameters();
  for (const auto& [name, value] : options.fixed)
    for (std::size_t j = 0; j < parameters.size(); ++j)
      if (parameters[j].name == name)
        problem.lower[j] = problem.upper[j] = parameters[j].coordinate(value);
}

std::vector<Coordinates> starts_of(const Options& options,
                                   const Law& law,
                                   const Points& points,
                                   const std::vector<double>& log_loss) {
  if (!options.start_from.empty()) return options.start_from;
  return options.starts == Starts::published ? law.published_starts()
                                             : law.starts(points, log_loss);
}

double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

std::vector<Error> check(const Options& options) {
  std::vector<Error> problems;
  const Law* law = find_law(options.law);
  if (law == nullptr) {
    const std::vector<std::string> names = law_names();
    std::string hint = did_you_mean(options.law, names);
    if (hint.empty()) hint = fmt::format("one of {}", fmt::join(names, ", "));
    problems.push_back(option_error(fmt::format("unknown law \"{}\"", options.law), hint));
  } else {
    check_fixed(options, *law, problems);
    if (options.starts == Starts::published && law->published_starts().empty())
      problems.push_back(
          option_error(fmt::format("no published starts of {} are known", law->name()),
                       "--starts spread, which every law has"));
  }
  if (!(options.delta > 0 && std::isfinite(options.delta)))
    problems.push_back(option_error(fmt::format("delta {} is not above 0", options.delta),
                                    "0.001 is the published choice"));
  if (!(options.asymmetry >= 0.01 && options.asymmetry <= 100))
    problems.push_back(option_error(fmt::format("an asymmetry of {}", options.asymmetry),
                                    "from 0.01 to 100; 1 is symmetric"));
  if (!(options.focus > 0))
    problems.push_back(option_error(fmt::format("a focus of {}", options.focus),
                                    "above 0 in units of ln C; 3 to 6 are useful"));
  if (options.profile_points != 0 && (options.profile_points < 3 || options.profile_points > 1000))
    problems.push_back(option_error(fmt::format("{} points of a profile", options.profile_points),
                                    "0 (none) or 3 to 1000"));
  for (Error& problem : check({.resamples = options.resamples,
                        .interval = options.interval,
                        .threads = options.threads},
                              0))
    problems.push_back(std::move(problem));
  return problems;
}

bool Fit::trusted() const {
  return std::none_of(doubts.begin(), doubts.end(), [](const Doubt& d) { return d.fatal; });
}

Coordinates Fit::coordinates() const {
  Coordinates x;
  for (std::size_t j = 0; j < parameters.size(); ++j)
    x.push_back(law->parameters()[j].coordinate(parameters[j].value));
  return x;
}

Error untrusted(const Fit& fit) {
  std::vector<Error> reasons;
  for (const Doubt& doubt : fit.doubts)
    if (doubt.fatal)
      reasons.push_back(
          {.kind = ErrorKind::untrusted, .what = fmt::format("{}: {}", doubt.subject, doubt.what)});
  return {
      .kind = ErrorKind::untrusted,
      .what = fmt::format("the {} fit of {} runs is not to be trusted", fit.law->name(), fit.runs),
      .hint = "add runs where they are missing, choose a simpler law, or override with --force",
      .causes = std::move(reasons)};
}

Result<Fit> fit_law(std::span<const Observation> runs, const Options& options) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the options of the fit are wrong");
  if (Result<void> usable = check_runs(runs); !usable) return std::move(usable).error();

  const std::vector<Observation> rows = canonical(runs);
  const auto [cell_of, cells] = number_cells(rows, options.resample);
  Points points;
  std::vector<double> log_loss;
  for (const Observation& run : rows) {
    points.add(run.params, run.tokens, run.unique);
    log_loss.push_back(std::log(run.loss.value));
  }
  std::vector<double> weights = weights_of(rows);
  const std::vector<double> near = focus_weights(points, options.focus);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= near[i];
  const Law& law = *find_law(options.law);
  const bool squares = options.objective == Objective::squares;
  Problem problem =
      make_problem(law, points, log_loss, weights, squares ? HUGE_VAL : options.delta);
  problem.asymmetry = options.asymmetry;
  hold_fixed(options, problem);

  SearchResult found = search(problem, starts_of(options, law, points, log_loss), options.threads);
  if (found.minima.empty())
    return Error{.kind = ErrorKind::untrusted,
                 .what = fmt::format("no start of the {} law has a finite loss", options.law),
                 .hint = "look for runs whose counts or losses differ by many orders of magnitude"};
  const Minimum& best = found.minima.front();

  Fit fit{.law = &problem.law,
          .delta = problem.delta,
          .asymmetry = problem.asymmetry,
          .runs = static_cast<int>(rows.size()),
          .cells = static_cast<int>(cells),
          .objective = best.objective,
          .residual_rms = root_mean_square(residuals(problem, best.x)),
          .interval = options.interval,
          .seed = options.seed,
          .search = found.report,
          .range = range_of(rows)};
  for (const Minimum& minimum : found.minima)
    fit.minima.push_back({minimum.objective, natural(problem.law, minimum.x)});
  fit.draws = bootstrap(problem, found.minima, cell_of, cells, options);
  calibrate_draws(problem, best.x, cells, fit.draws);
  fit.parameters = estimates(problem, best.x, fit);
  add_uncertainty(problem, found.minima, cell_of, options, fit);
  fit.doubts = find_doubts(problem, fit, options.resamples);
  fit.observed = points;
  fit.observed_log_loss = log_loss;
  fit.observed_weights = weights;
  return fit;
}

std::vector<double> focus_weights(const Points& points, double focus, double most) {
  const auto log_compute = [&](std::size_t i) {
    return points.log_params[i] + points.log_tokens[i];
  };
  double highest = std::log(most / 6);
  for (std::size_t i = 0; i < points.size(); ++i) highest = std::max(highest, log_compute(i));
  std::vector<double> weights;
  for (std::size_t i = 0; i < points.size(); ++i)
    weights.push_back(std::exp((log_compute(i) - highest) / focus));
  return weights;
}

std::vector<Prediction> predict(const Fit& fit, const Points& points) {
  std::vector<double> log_loss(points.size());
  fit.law->evaluate(fit.coordinates(), points, log_loss, {});
  std::vector<Prediction> predictions(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) predictions[i].value = std::exp(log_loss[i]);
  if (fit.draws.empty()) return predictions;

  std::vector<std::vector<double>> drawn(points.size());
  for (const Coordinates& draw : fit.draws) {
    fit.law->evaluate(draw, points, log_loss, {});
    for (std::size_t i = 0; i < points.size(); ++i) drawn[i].push_back(std::exp(log_loss[i]));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Span ends = percentile_interval(drawn[i], fit.interval);
    predictions[i].low = ends.low;
    predictions[i].high = ends.high;
  }
  return predictions;
}

Span percentile_interval(std::vector<double>& values, double interval) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return std::lerp(values[below], values[above], place - std::floor(place));
  };
  return {at((1 - interval) / 2), at((1 + interval) / 2)};
}

}  // namespace ration::fit
