#include "fit/observations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace ration::fit {
namespace {

std::string problem_of(const Observation& run) {
  const auto bad = [](double value) { return !std::isfinite(value) || value <= 0; };
  if (bad(run.params.value)) return fmt::format("parameters {}", run.params.value);
  if (bad(run.tokens.value)) return fmt::format("tokens {}", run.tokens.value);
  if (bad(run.unique.value)) return fmt::format("unique tokens {}", run.unique.value);
  if (bad(run.loss.value)) return fmt::format("loss {}", run.loss.value);
  if (bad(run.weight)) return fmt::format("weight {}", run.weight);
  if (run.unique > run.tokens)
    return fmt::format(
        "more unique tokens ({}) than tokens ({})", run.unique.value, run.tokens.value);
  return {};
}

}  // namespace

Result<void> check_runs(std::span<const Observation> runs) {
  std::vector<Error> problems;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (const std::string what = problem_of(runs[i]); !what.empty())
      problems.push_back(
          {.kind = ErrorKind::input, .what = fmt::format("run {}: {}", i + 1, what)});
  if (!problems.empty()) return combine(std::move(problems), "some runs cannot be used");
  if (runs.size() < 2)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} is too few to fit a law", runs.size() == 1 ? "one run" : "no run"),
        .hint = "add runs that differ in parameters, tokens and unique tokens"};
  const auto [low, high] =
      std::minmax_element(runs.begin(), runs.end(), [](const Observation& a, const Observation& b) {
        return a.loss < b.loss;
      });
  if (low->loss == high->loss)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("all {} losses equal {}", runs.size(), low->loss.value),
                 .hint = "is the loss column the right one?"};
  return {};
}

std::vector<Observation> canonical(std::span<const Observation> runs) {
  const auto place = [](const Observation& run) {
    return std::tie(run.params, run.tokens, run.unique, run.cell, run.run, run.loss);
  };
  std::vector<Observation> all(runs.begin(), runs.end());
  std::sort(all.begin(), all.end(), [&](const Observation& a, const Observation& b) {
    return std::tuple_cat(place(a), std::tie(a.weight)) <
           std::tuple_cat(place(b), std::tie(b.weight));
  });
  constexpr double kWhole = 0.99;  // three parts of 0.33 are a run
  std::vector<Observation> merged;
  for (const Observation& row : all) {
    if (row.weight < kWhole && !merged.empty() && merged.back().weight < kWhole &&
        place(merged.back()) == place(row))
      merged.back().weight += row.weight;
    else
      merged.push_back(row);
  }
  return merged;
}

std::vector<double> weights_of(std::span<const Observation> rows) {
  std::map<std::string, double> checkpoints;
  for (const Observation& row : rows) ++checkpoints[row.run];
  std::vector<double> weights;
  for (const Observation& row : rows)
    weights.push_back(row.run.empty() ? row.weight : row.weight / checkpoints[row.run]);
  return weights;
}

}  // namespace ration::fit
