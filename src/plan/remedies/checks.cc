#include "plan/remedies/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "base/text.h"

namespace ration::plan {
namespace {

class Problems {
 public:
  void add(std::string what, std::string hint) {
    all.push_back({.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)});
  }
  std::vector<Error> all;
};

void check_arm(const Arm& arm,
               const std::set<std::string>& names,
               std::span<const RemedyRun> runs,
               Problems& problems) {
  const auto add = [&](std::string_view what, std::string hint) {
    problems.add(fmt::format("the arm {} {}", arm.name, what), std::move(hint));
  };
  const bool mixes = arm.kind == RemedyKind::mixing;
  const bool runs_say = std::all_of(runs.begin(), runs.end(), [&](const RemedyRun& run) {
    return run.arm != arm.name || (run.added && run.added->value > 0);
  });
  const bool says = arm.added && arm.added->value > 0 && std::isfinite(arm.added->value);
  if (mixes && !says && !(runs_say && !runs.empty()))
    add("mixes, and does not say how many tokens it adds", "a number above 0 as `added`");
  if (arm.kept && !(*arm.kept > 0 && *arm.kept <= 1))
    add(fmt::format("keeps {:g} of the tokens", *arm.kept), "a share above 0 and at most 1");
  if (arm.kind != RemedyKind::combined) return;
  if (arm.parts.size() < 2) add("joins fewer than two arms", "name its `parts`");
  for (const std::string& part : arm.parts)
    if (!names.contains(part) || part == arm.name)
      add(fmt::format("joins {}, which is no other arm", part), "parts are names of arms");
}

void check_run(const RemedyRun& run, std::span<const Arm> arms, Problems& problems) {
  const auto add = [&](std::string_view what, std::string hint) {
    problems.add(
        fmt::format("the run of {} with size {} and seed {} {}", run.arm, run.size, run.seed, what),
        std::move(hint));
  };
  const auto positive = [&](std::string_view name, double value) {
    if (!(value > 0) || !std::isfinite(value))
      add(fmt::format("has {} {}", value, name), "a finite number above 0");
  };
  positive("parameters", run.params.value);
  positive("tokens", run.tokens.value);
  positive("unique tokens", run.unique.value);
  positive("nats of loss", run.loss.value);
  positive("FLOPs", run.flops.value);
  if (!(run.donors.value >= 0) || !std::isfinite(run.donors.value))
    add(fmt::format("has {} FLOPs of donors", run.donors.value), "0 or more");
  if (run.task && !(*run.task >= 0 && *run.task <= 1))
    add(fmt::format("has a score of {}", *run.task), "a share from 0 to 1");
  for (const Arm& arm : arms) {
    const std::optional<Tokens> added = run.added ? run.added : arm.added;
    if (arm.name == run.arm && added && !(*added < run.tokens))
      add(fmt::format("sees {:g} tokens, of which {:g} are added", run.tokens.value, added->value),
          "fewer are added than are seen");
  }
  if (run.kept && !(*run.kept > 0 && std::isfinite(*run.kept)))
    add(fmt::format("keeps {:g} of the tokens", *run.kept), "a share above 0");
}

}  // namespace

std::vector<Error> problems_of(std::span<const RemedyRun> runs,
                               const std::string& baseline,
                               std::span<const Arm> arms) {
  Problems problems;
  std::set<std::string> names = {baseline};
  for (const Arm& arm : arms)
    if (!names.insert(arm.name).second)
      problems.add(fmt::format("the arm {} is given twice", arm.name),
                   "the baseline is no arm, and names differ");
  for (const Arm& arm : arms) check_arm(arm, names, runs, problems);
  const std::vector<std::string> known(names.begin(), names.end());
  std::set<std::string> unknown;
  std::set<std::tuple<std::string, std::string, double, double, std::int64_t>> seen;
  for (const RemedyRun& run : runs) {
    if (!names.contains(run.arm) && unknown.insert(run.arm).second)
      problems.add(
          fmt::format(
              "a run belongs to {}, which is no arm{}", run.arm, did_you_mean(run.arm, known)),
          "name it among the arms");
    check_run(run, arms, problems);
    if (run.arm == baseline && run.unique > run.tokens)
      problems.add(fmt::format("{} with size {} sees {:g} tokens, fewer than its {:g} unique ones",
                               baseline,
                               run.size,
                               run.tokens.value,
                               run.unique.value),
                   "the baseline repeats; unique tokens are those that it sees");
    if (!seen.emplace(run.arm, run.size, run.unique.value, run.tokens.value, run.seed).second)
      problems.add(fmt::format("{} has two runs with size {}, {:g} unique tokens and seed {}",
                               run.arm,
                               run.size,
                               run.unique.value,
                               run.seed),
                   "a seed counts once");
  }
  return std::move(problems.all);
}

}  // namespace ration::plan
