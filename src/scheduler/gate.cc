#include "scheduler/gate.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::scheduler {
namespace {

std::size_t count(const Gate& gate, Arrival arrival) {
  return static_cast<std::size_t>(
      std::count_if(gate.parents.begin(), gate.parents.end(), [&](const Parent& parent) {
        return parent.arrival == arrival;
      }));
}

std::string missing(const Gate& gate) {
  std::vector<std::string> reasons;
  for (const Parent& parent : gate.parents)
    if (parent.arrival == Arrival::absent) reasons.push_back(parent.why);
  return fmt::format("{}", fmt::join(reasons, "; "));
}

std::string too_few(const Gate& gate) {
  const std::size_t possible = gate.parents.size() - count(gate, Arrival::absent);
  if (needed(gate) == gate.parents.size()) return missing(gate);
  return fmt::format("needs {} of {} runs, and {} can come: {}",
                     needed(gate),
                     gate.parents.size(),
                     possible,
                     missing(gate));
}

}  // namespace

std::size_t arrived(const Gate& gate) { return count(gate, Arrival::here); }

std::size_t needed(const Gate& gate) {
  return gate.quorum == 0 ? gate.parents.size() : gate.quorum;
}

GateView look_at(const Gate& gate, double now, std::size_t held) {
  using enum GateView::State;
  const std::size_t here = arrived(gate);
  const std::size_t absent = count(gate, Arrival::absent);
  const std::size_t all = gate.parents.size();
  const std::size_t coming = all - here - absent - held;
  const bool late = now >= gate.deadline;
  if (here >= needed(gate) && (coming == 0 || late)) return {open, ""};

  const bool possible = all - absent >= needed(gate);
  if (gate.on_stall == OnStall::abort && !possible) return {shut, too_few(gate)};
  if (gate.on_stall == OnStall::abort && late)
    return {shut,
            fmt::format("{} of the {} runs that it needs were there in time", here, needed(gate))};
  if (gate.on_stall == OnStall::go_on && (late || coming == 0)) {
    if (here > 0) return {open, ""};
    if (coming == 0 && held == 0) return {shut, too_few(gate)};
  }
  if (all - absent - held >= needed(gate)) return {awaits, ""};
  if (gate.on_stall == OnStall::go_on && coming > 0) return {awaits, ""};
  return {stalled, possible ? "waits for runs that are stalled themselves" : too_few(gate)};
}

std::string describe(const Gate& gate) {
  std::vector<std::string> names;
  for (const Parent& parent : gate.parents) {
    const std::string name = parent.id.substr(0, 12);
    names.push_back(parent.wants == Wants::checkpoint
                        ? fmt::format("step {} of {} {}", parent.step, parent.called, name)
                        : "run " + name);
  }
  const std::string quorum =
      needed(gate) < names.size() ? fmt::format("{} of ", needed(gate)) : std::string();
  return fmt::format("waits for {}{}", quorum, fmt::join(names, ", "));
}

}  // namespace ration::scheduler
