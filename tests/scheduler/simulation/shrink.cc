#include "scheduler/simulation/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace ration::scheduler::simulation {
namespace {

bool breaks(const Scenario& scenario, const Machine& machine) {
  return !play(scenario, machine).violation.empty();
}

// Leaves out as many faults as it can, in ever smaller groups.
void drop_faults(Scenario& failing, const Machine& machine) {
  const std::set<Fault> met = play(failing, machine).met;
  failing.only = met;  // the same history: the others did not happen
  std::vector<Fault> kept(met.begin(), met.end());
  for (std::size_t group = std::max<std::size_t>(1, kept.size()); group > 0; group /= 2) {
    for (std::size_t begin = 0; begin < kept.size();) {
      std::vector<Fault> fewer(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(begin));
      fewer.insert(fewer.end(),
                   kept.begin() + static_cast<std::ptrdiff_t>(std::min(kept.size(), begin + group)),
                   kept.end());
      Scenario candidate = failing;
      candidate.only = std::set<Fault>(fewer.begin(), fewer.end());
      if (breaks(candidate, machine)) {
        failing = std::move(candidate);
        kept = std::move(fewer);
      } else {
        begin += group;
      }
    }
  }
}

void drop_runs(Scenario& failing, const Machine& machine) {
  for (int step = failing.runs / 2; step > 0; step /= 2) {
    Scenario candidate = failing;
    while (candidate.runs > step) {
      candidate.runs -= step;
      if (!breaks(candidate, machine)) break;
      failing = candidate;
    }
  }
}

}  // namespace

Scenario shrink(Scenario failing, const Machine& machine) {
  drop_runs(failing, machine);
  drop_faults(failing, machine);
  drop_runs(failing, machine);
  return failing;
}

std::optional<Scenario> first_failure(std::uint64_t from,
                                      std::uint64_t to,
                                      int runs,
                                      const Machine& machine) {
  for (std::uint64_t seed = from; seed < to; ++seed) {
    const Scenario scenario{.seed = seed, .runs = runs};
    if (breaks(scenario, machine)) return shrink(scenario, machine);
  }
  return std::nullopt;
}

std::string complaint(const Scenario& shrunk, const Machine& machine) {
  const Played played = play(shrunk, machine);
  return fmt::format(
      "{} (after {:.0f} s, {} events); again: RATION_SIMULATION='{}' simulation_test",
      played.violation,
      played.at,
      played.events,
      name(shrunk));
}

}  // namespace ration::scheduler::simulation
