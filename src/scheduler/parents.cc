#include "scheduler/parents.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "run/architecture.h"
#include "scheduler/branches.h"

namespace ration::scheduler {
namespace {

using store::RunState;

std::string short_name(const std::string& run) { return run.substr(0, 12); }

// What is needed of each run: the step of a checkpoint, or 0 for the last one. Of several steps the
// last is there when the others are; a finished run has kept them all.
std::map<std::string, std::int64_t> needs_of(const PlannedRun& run) {
  std::map<std::string, std::int64_t> steps;
  for (const run::Weights& weights : run.needs) {
    const auto [entry, fresh] = steps.try_emplace(weights.run, weights.step);
    if (!fresh)
      entry->second =
          weights.step == 0 || entry->second == 0 ? 0 : std::max(entry->second, weights.step);
  }
  return steps;
}

// The state of a run in the store; nothing when it is not there.
Result<std::optional<RunState>> state_in(const store::Reader* reader, const std::string& run) {
  if (reader == nullptr) return std::optional<RunState>();
  Result<store::RunRow> row = reader->find_run(run);
  if (row) return std::optional(row->state);
  if (row.error().kind == ErrorKind::usage || row.error().kind == ErrorKind::input)
    return std::optional<RunState>();
  return std::move(row).error();
}

// The settings of a run of this command or of the store; nothing where neither knows it.
Result<std::optional<run::RunSpec>> spec_of(const std::string& run,
                                            const RunsById& inside,
                                            const store::Reader* reader) {
  if (const auto found = inside.find(run); found != inside.end())
    return std::optional(found->second.front()->spec);
  if (reader == nullptr) return std::optional<run::RunSpec>();
  const Result<store::RunRow> row = reader->find_run(run);
  if (!row) return std::optional<run::RunSpec>();  // check_parents_outside has told
  Result<run::RunFile> file = reader->spec(row->id);
  if (!file) return std::move(file).error();
  return std::optional(std::move(file->spec));
}

Parent parent_at(std::size_t node, const std::string& id, std::int64_t step) {
  Parent parent;
  parent.node = node;
  parent.id = id;
  parent.wants = step > 0 ? Wants::checkpoint : Wants::result;
  parent.step = step;
  return parent;
}

}  // namespace

std::vector<std::string> parents_of(const PlannedRun& run) {
  std::vector<std::string> parents;
  if (!run.spec.branch_from.empty()) parents.push_back(run.spec.branch_from);
  for (const auto& [id, step] : needs_of(run)) parents.push_back(id);
  return parents;
}

RunsById runs_by_id(std::span<Expansion* const> sweeps) {
  RunsById runs;
  for (Expansion* sweep : sweeps)
    for (PlannedRun& run : sweep->runs) runs[run.id].push_back(&run);
  return runs;
}

void keep_for_children(const RunsById& runs) {
  for (const auto& [id, places] : runs)
    for (const run::Weights& weights : places.front()->needs) {
      const auto parent = runs.find(weights.run);
      if (parent == runs.end()) continue;
      for (PlannedRun* place : parent->second) {
        place->needed = true;
        if (weights.step > 0) keep_also(*place, std::to_string(weights.step));
      }
    }
}

Result<void> check_parents_outside(std::span<const PlannedRun* const> runs,
                                   const RunsById& inside,
                                   const store::Reader* reader) {
  constexpr std::size_t kNamed = 5;
  std::map<std::string, std::optional<RunState>> states;  // of parents, each looked up once
  std::vector<std::string> missing;
  for (const PlannedRun* run : runs)
    for (const auto& [id, step] : needs_of(*run)) {
      if (inside.contains(id)) continue;
      const auto [entry, fresh] = states.try_emplace(id);
      if (fresh) {
        Result<std::optional<RunState>> state = state_in(reader, id);
        if (!state) return std::move(state).error();
        entry->second = *state;
      }
      const std::optional<RunState>& state = entry->second;
      if (state == RunState::done || state == RunState::active) continue;
      Result<std::optional<RunState>> own = state_in(reader, run->id);
      if (!own) return std::move(own).error();
      if (*own == RunState::done) continue;  // it has begun with them, long ago
      missing.push_back(fmt::format("run {} needs the weights of run {}, which is {}",
                                    short_name(run->id),
                                    short_name(id),
                                    state ? store::name(*state) : "not in this store"));
    }
  if (missing.empty()) return {};
  const std::size_t more = missing.size() > kNamed ? missing.size() - kNamed : 0;
  missing.resize(missing.size() - more);
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format(
          "{}{}", fmt::join(missing, "; "), more > 0 ? fmt::format("; and {} more", more) : ""),
      .hint =
          "train it first, or give its sweep to the same `ration run`; nothing was "
          "started"};
}

Result<void> check_parents_models(std::span<const PlannedRun* const> runs,
                                  const RunsById& inside,
                                  const store::Reader* reader) {
  std::map<std::string, std::optional<run::RunSpec>> specs;
  std::vector<Error> problems;
  for (const PlannedRun* run : runs)
    for (const auto& [id, step] : needs_of(*run)) {
      const auto [entry, fresh] = specs.try_emplace(id);
      if (fresh) {
        Result<std::optional<run::RunSpec>> spec = spec_of(id, inside, reader);
        if (!spec) return std::move(spec).error();
        entry->second = std::move(*spec);
      }
      if (!entry->second) continue;
      const std::string other = run::architecture_differences(*entry->second, run->spec);
      if (other.empty()) continue;
      problems.push_back(
          {.kind = ErrorKind::usage,
           .what = fmt::format("run {} needs the weights of run {}, whose model is another: {}",
                               short_name(run->id),
                               short_name(id),
                               other),
           .hint = "take that run's settings, or another run's weights"});
    }
  if (problems.empty()) return {};
  return combine(std::move(problems), "weights do not fit; nothing was started");
}

Result<std::optional<Gate>> gate_of(const PlannedRun& run,
                                    const std::function<std::size_t(const std::string&)>& node_of,
                                    const store::Reader& store) {
  if (!run.spec.branch_from.empty())
    return std::optional(gate_of_branch(run.spec, node_of(run.spec.branch_from)));
  Gate gate;
  for (const auto& [id, step] : needs_of(run)) {
    Parent parent = parent_at(node_of(id), id, step);
    if (parent.node == kNobody && step == 0) {
      Result<std::optional<RunState>> state = state_in(&store, id);
      if (!state) return std::move(state).error();
      if (*state == RunState::done) continue;
      parent.arrival = Arrival::absent;
      parent.why = fmt::format("run {}, whose weights it needs, is {}",
                               short_name(id),
                               *state ? store::name(**state) : "not in this store");
    }
    gate.parents.push_back(std::move(parent));
  }
  if (gate.parents.empty()) return std::optional<Gate>();
  return std::optional(std::move(gate));
}

}  // namespace ration::scheduler
