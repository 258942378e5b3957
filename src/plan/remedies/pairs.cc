#include "plan/remedies/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "plan/remedies/checks.h"

namespace ration::plan {
namespace {

// A setting of the baseline: N, size, D, U.
using Cell = std::tuple<double, std::string, double, double>;

Cell cell_of(const RemedyRun& run) {
  return {run.params.value, run.size, run.tokens.value, run.unique.value};
}

// A run beside its partner.
struct Pair {
  const RemedyRun* run = nullptr;
  const RemedyRun* partner = nullptr;
};

const RemedyRun* partner_of(const RemedyRun& run,
                            std::span<const RemedyRun> runs,
                            const std::string& baseline) {
  const RemedyRun* best = nullptr;
  const auto distance = [&](const RemedyRun& other) {
    return std::abs(std::log(other.tokens / run.tokens));
  };
  for (const RemedyRun& other : runs) {
    if (other.arm != baseline || other.size != run.size || other.unique != run.unique ||
        other.seed != run.seed)
      continue;
    if (!best || distance(other) < distance(*best)) best = &other;
  }
  return best;
}

Pairs pairs_of(const Arm& arm, std::size_t cell, std::vector<Pair> members) {
  std::sort(members.begin(), members.end(), [](const Pair& a, const Pair& b) {
    return a.run->seed < b.run->seed;
  });
  const RemedyRun& first = *members.front().partner;
  Pairs pairs{.arm = &arm,
              .size = first.size,
              .baseline = {first.params, first.tokens, first.unique},
              .cell = cell};
  const auto count = static_cast<double>(members.size());
  for (const auto& [run, partner] : members) {
    pairs.seeds.push_back(run->seed);
    pairs.differences.push_back(run->loss.value - partner->loss.value);
    if (run->task && partner->task) pairs.scores.push_back(*run->task - *partner->task);
    pairs.tokens += run->tokens.value / count;
    const std::optional<Tokens> added = run->added ? run->added : arm.added;
    if (added) pairs.added = pairs.added.value_or(0) + added->value / count;
    const std::optional<double> kept = run->kept ? run->kept : arm.kept;
    if (kept) pairs.kept = pairs.kept.value_or(0) + *kept / count;
    pairs.flops += run->flops.value / count;
    pairs.donors += run->donors.value / count;
    pairs.baseline_flops += partner->flops.value / count;
  }
  return pairs;
}

}  // namespace

Result<Matched> match(std::span<const RemedyRun> runs,
                      const std::string& baseline,
                      std::span<const Arm> arms) {
  std::vector<Error> problems = problems_of(runs, baseline, arms);
  std::map<Cell, std::size_t> cells;
  for (const RemedyRun& run : runs)
    if (run.arm == baseline) cells.emplace(cell_of(run), 0);
  std::size_t number = 0;
  for (auto& [cell, place] : cells) place = number++;

  Matched matched;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<Pair>> groups;  // by cell and arm
  for (std::size_t a = 0; a < arms.size(); ++a) {
    std::set<const RemedyRun*> taken;
    std::size_t alone = 0, paired = 0;
    for (const RemedyRun& run : runs) {
      if (run.arm != arms[a].name) continue;
      const RemedyRun* partner = partner_of(run, runs, baseline);
      if (!partner) {
        ++alone;
        continue;
      }
      ++paired;
      if (!taken.insert(partner).second)
        problems.push_back(
            {.kind = ErrorKind::input,
             .what = fmt::format("two runs of {} with size {} and seed {} meet one run of {}",
                                 run.arm,
                                 run.size,
                                 run.seed,
                                 baseline),
             .hint = "give the baseline a run of each length, or each variant an arm"});
      groups[{cells[cell_of(*partner)], a}].push_back({&run, partner});
    }
    if (alone > 0)
      matched.notes.push_back(fmt::format(
          "{} of {} runs of {} have no partner of their size, unique tokens and seed in {}",
          alone,
          alone + paired,
          arms[a].name,
          baseline));
    else if (paired == 0)
      matched.notes.push_back(fmt::format("{} has no runs", arms[a].name));
  }
  if (groups.empty() && problems.empty())
    problems.push_back({.kind = ErrorKind::input,
                        .what = fmt::format("no run has a partner in {}", baseline),
                        .hint = "runs are paired by size, unique tokens and seed"});
  if (!problems.empty()) return combine(std::move(problems), "the remedies cannot be priced");
  for (auto& [key, members] : groups)
    matched.pairs.push_back(pairs_of(arms[key.second], key.first, std::move(members)));
  // By size, then arm, then length: cells are sorted by size first.
  std::stable_sort(matched.pairs.begin(), matched.pairs.end(), [](const Pairs& a, const Pairs& b) {
    return std::tuple(a.baseline.params.value, a.size, a.arm) <
           std::tuple(b.baseline.params.value, b.size, b.arm);
  });
  return matched;
}

Scores scores_of(std::span<const RemedyRun> runs,
                 const std::string& baseline,
                 const std::string& size,
                 Tokens tokens) {
  Scores scores;
  for (const RemedyRun& run : runs)
    if (run.arm == baseline && run.size == size && run.tokens == tokens && run.task)
      scores[run.unique.value].push_back(*run.task);
  return scores;
}

}  // namespace ration::plan
