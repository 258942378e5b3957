#include "scheduler/branches.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "run/steps.h"

namespace ration::scheduler {
namespace {

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// A setting that differs although only the length may.
std::string difference(const run::RunSpec& trunk, const run::RunSpec& run) {
  const Json a = run::to_json(trunk), b = run::to_json(run);
  for (const auto& [name, value] : a.items())
    if (b.value(name, Json()) != value) return name;
  return "a setting";
}

}  // namespace

std::optional<Error> make_branch(PlannedRun& trunk, PlannedRun& run) {
  run::RunSpec spec = run.spec;
  spec.seed = trunk.spec.seed;  // seeds are hashed from settings, of which the length is one
  run::RunSpec same = spec;
  same.tokens = trunk.spec.tokens;
  if (same != trunk.spec)
    return wrong(fmt::format("the runs of a trunk differ in {}, not in length alone",
                             difference(trunk.spec, same)),
                 "derive it from something that tokens and epochs do not change");
  if (!trunk.spec.init.empty())
    return wrong("a trunk cannot begin with init", "train each length whole: use [grid] for it");
  if (trunk.spec.schedule != "wsd")
    return wrong(fmt::format("a trunk needs a stable part, which schedule = \"{}\" has not",
                             trunk.spec.schedule),
                 "set schedule = \"wsd\"");
  if (spec.tokens != trunk.spec.tokens) {
    const std::int64_t step = run::steps_of(spec) - run::decay_steps(spec);
    const std::int64_t warm = run::warmup_steps(trunk.spec);
    if (step < std::max<std::int64_t>(1, warm))
      return wrong(
          fmt::format("a branch of {} tokens would leave its trunk at step {}, within the "
                      "warm-up of {} steps",
                      spec.tokens,
                      step,
                      warm),
          "lower warmup_fraction, which counts the trunk's steps, or leave out the shortest");
    spec.branch_from = trunk.id;
    spec.branch_step = step;
    if (std::vector<Error> problems = run::check(spec); !problems.empty())
      return std::move(problems[0]);
    const auto steps = static_cast<double>(run::steps_of(spec));
    run.facts.flops *= 1 - static_cast<double>(step) / steps;
    keep_also(trunk, std::to_string(step));
  }
  run.spec = std::move(spec);
  run.id = run::run_id(run.spec);
  return std::nullopt;
}

Gate gate_of_branch(const run::RunSpec& branch, std::size_t node) {
  Parent trunk;
  trunk.node = node;
  trunk.wants = Wants::checkpoint;
  trunk.step = branch.branch_step;
  trunk.id = branch.branch_from;
  trunk.called = "its trunk";
  Gate gate;
  gate.parents.push_back(std::move(trunk));
  return gate;
}

void keep_also(PlannedRun& run, const std::string& steps) {
  std::set<std::int64_t> all;
  for (const std::string& list : {run.execution.keep_steps, steps})
    for (const std::int64_t step : run::kept_steps(list)) all.insert(step);
  run.execution.keep_steps = fmt::format("{}", fmt::join(all, ","));
}

}  // namespace ration::scheduler
