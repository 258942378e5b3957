#include "scheduler/asked.h"

#include <unordered_map>

namespace ration::scheduler {

Result<Asked> ask(const Sweep& sweep, const SweepOptions& options, Outside& outside) {
  Asked asked{.sweep = &sweep};
  ExpandOptions whole = options.expand;
  whole.only.clear();
  Result<Expansion> all = expand(sweep, outside.files, whole);
  if (!all) return std::move(all).error();
  asked.all = std::move(*all);
  Result<Expansion> chosen =
      options.expand.only.empty() ? asked.all : expand(sweep, outside.files, options.expand);
  if (!chosen) return std::move(chosen).error();
  asked.chosen = std::move(*chosen);
  if (options.runs)
    std::erase_if(asked.chosen.runs,
                  [&](const PlannedRun& run) { return !options.runs->contains(run.id); });
  if (!options.runs)  // a loop asks for the same sweep again and again
    for (const std::string& note : asked.chosen.notes) outside.observer.note(note);
  return asked;
}

void add_parents(std::vector<Asked>& sweeps) {
  std::unordered_map<std::string_view, std::pair<Asked*, const PlannedRun*>> known;
  std::set<std::string> there;
  std::vector<const PlannedRun*> open;
  for (Asked& asked : sweeps) {
    for (const PlannedRun& run : asked.all.runs) known.try_emplace(run.id, &asked, &run);
    for (const PlannedRun& run : asked.chosen.runs)
      if (there.insert(run.id).second) open.push_back(known.at(run.id).second);
  }
  while (!open.empty()) {
    const PlannedRun* run = open.back();
    open.pop_back();
    for (const std::string& id : parents_of(*run)) {
      const auto parent = known.find(id);
      if (parent == known.end() || !there.insert(id).second) continue;
      parent->second.first->chosen.runs.push_back(*parent->second.second);
      open.push_back(parent->second.second);
    }
  }
  for (Asked& asked : sweeps)
    for (const PlannedRun& chosen : asked.chosen.runs) asked.wanted.insert(chosen.id);
}

Result<void> prepare_parents(std::vector<Asked>& sweeps,
                             const SweepOptions& options,
                             Outside& outside) {
  std::vector<Expansion*> all, chosen;
  for (Asked& asked : sweeps) {
    all.push_back(&asked.all);
    chosen.push_back(&asked.chosen);
  }
  const RunsById runs = runs_by_id(all);
  keep_for_children(runs);
  keep_for_children(runs_by_id(chosen));
  std::vector<const PlannedRun*> needy;
  for (const Expansion* sweep : chosen)
    for (const PlannedRun& run : sweep->runs)
      if (!run.needs.empty()) needy.push_back(&run);
  if (needy.empty()) return {};
  std::optional<store::Reader> reader;
  if (outside.files.exists(store::Layout{options.store}.database())) {
    Result<store::Reader> opened = store::Reader::open(outside.files, options.store);
    if (!opened) return std::move(opened).error();
    reader = std::move(*opened);
  }
  const store::Reader* const known = reader ? &*reader : nullptr;
  if (Result<void> there = check_parents_outside(needy, runs, known); !there) return there;
  return check_parents_models(needy, runs, known);
}

}  // namespace ration::scheduler
