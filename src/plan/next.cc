#include "plan/next.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/budget_line.h"

namespace ration::plan {
namespace {

// d ln N_opt / d theta by central differences, the optimum solved anew at each.
std::vector<double> decision_of(const fit::Belief& belief, const Request& request) {
  constexpr double kStep = 1e-4;
  std::vector<double> slopes;
  fit::Coordinates x = belief.x;
  for (double& coordinate : x) {
    const double middle = coordinate;
    coordinate = middle + kStep;
    const double above = std::log(optimise(*belief.law, x, request).params);
    coordinate = middle - kStep;
    const double below = std::log(optimise(*belief.law, x, request).params);
    coordinate = middle;
    slopes.push_back((above - below) / (2 * kStep));
  }
  return slopes;
}

void add_targets(const fit::Mode& mode, const Request& request, fit::Points& targets) {
  const BudgetLine line(*mode.law, mode.x, request);
  const auto [first, last] = line.range();
  const double best = std::log(optimise(*mode.law, mode.x, request).params);
  const double aside = std::log(1.5);  // about the ends of a valley of 0.1 %
  for (const double offset : {-aside, 0.0, aside}) {
    const double log_n = std::clamp(best + offset, first, last);
    const double log_d = line.log_tokens(log_n);
    targets.resize(targets.size() + 1);
    targets.set(targets.size() - 1, log_n, log_d, std::min(line.log_unique(log_d), log_d));
  }
}

bool known(const fit::Points& runs, const fit::Points& points, std::size_t i) {
  constexpr double kSame = 1e-6;
  for (std::size_t k = 0; k < runs.size(); ++k)
    if (std::abs(runs.log_params[k] - points.log_params[i]) < kSame &&
        std::abs(runs.log_tokens[k] - points.log_tokens[i]) < kSame &&
        std::abs(runs.log_unique[k] - points.log_unique[i]) < kSame)
      return true;
  return false;
}

std::vector<Error> check_choosing(const NextRequest& request) {
  const auto wrong = [](std::string what, std::string hint) {
    return Error{.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
  };
  std::vector<Error> problems;
  if (request.targets.size() == 0 || request.choosing.gain == fit::Gain::decision)
    problems = check(request.plan);
  if (!(request.choosing.spend > 0))
    problems.push_back(wrong("nothing to spend", "--spend 1e19flop"));
  if (request.choosing.count < 1)
    problems.push_back(wrong(fmt::format("{} runs to choose", request.choosing.count), "--next 8"));
  const double gamma = request.choosing.gamma.value_or(1);
  if (!(gamma >= 0 && gamma <= 2))
    problems.push_back(wrong(fmt::format("a gamma of {:g}", gamma), "0 to 2"));
  for (Error& problem : check(request.misfit)) problems.push_back(std::move(problem));
  return problems;
}

}  // namespace

Result<NextRuns> choose_next(const fit::Fit& fit,
                             const fit::Points& candidates,
                             const NextRequest& request) {
  if (std::vector<Error> problems = check_choosing(request); !problems.empty())
    return combine(std::move(problems), "no runs can be chosen");
  if (fit.observed.size() == 0)
    return Error{.kind = ErrorKind::input,
                 .what = "the fit does not hold the runs that it was made of",
                 .hint = "fit again; older versions did not keep them"};
  NextRuns next;
  const std::vector<fit::Mode> modes = fit::modes_of(fit);
  next.targets = request.targets;
  if (next.targets.size() == 0)
    for (const fit::Mode& mode : modes) add_targets(mode, request.plan, next.targets);
  std::vector<fit::Belief> beliefs = fit::believe(
      modes, fit.observed, fit.observed_log_loss, fit.observed_weights, request.misfit);
  if (request.choosing.gain == fit::Gain::decision)
    for (fit::Belief& belief : beliefs) belief.decision = decision_of(belief, request.plan);
  next.modes = static_cast<int>(beliefs.size());
  next.noise = beliefs.front().noise;
  fit::Points open;
  std::vector<std::size_t> place;  // of each in `candidates`
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const double flops = 6 * std::exp(candidates.log_params[i] + candidates.log_tokens[i]);
    if (flops > request.choosing.spend || known(fit.observed, candidates, i)) continue;
    open.resize(open.size() + 1);
    open.set(open.size() - 1,
             candidates.log_params[i],
             candidates.log_tokens[i],
             candidates.log_unique[i]);
    place.push_back(i);
  }
  next.selection = fit::choose_runs(beliefs, open, next.targets, request.choosing);
  if (next.selection.runs.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("none of the {} candidates is new and affordable with {:.3g} "
                                     "flop",
                                     candidates.size(),
                                     request.choosing.spend),
                 .hint = "raise --spend, or name other candidates"};
  for (fit::Chosen& run : next.selection.runs) run.candidate = place[run.candidate];
  return next;
}

}  // namespace ration::plan
