#include "scheduler/early_stop.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <unordered_map>

namespace ration::scheduler {
namespace {

// What compared runs have in common, as one word.
std::string key_of(const run::RunSpec& spec, const std::vector<std::string>& settings) {
  std::string key;
  for (const std::string& setting : settings)
    key += std::visit([](const auto& value) { return fmt::format("{};", value); },
                      run::get(spec, setting));
  return key;
}

// Others wait for what it trains, it trains a part alone, or it trains nothing.
bool is_left_alone(const PlannedRun& run) {
  return !run.spec.branch_from.empty() || !run.execution.keep_steps.empty() || run.needed ||
         run.spec.tokens == 0;
}

// Runs that differ in their seeds alone are one configuration; those that begin with other runs,
// when these are one.
std::string configuration_of(const run::RunSpec& spec,
                             const std::unordered_map<std::string_view, const PlannedRun*>& runs) {
  const Result<run::Weights> init = run::parse_weights(spec.init);
  if (!init || init->run.empty()) return store::cell_key(spec);
  const auto parent = runs.find(init->run);
  if (parent == runs.end()) return store::cell_key(spec);
  return store::cell_key(spec, configuration_of(parent->second->spec, runs));
}

}  // namespace

Result<void> prepare_stopping(const store::Reader& store,
                              const EarlyStopping& stopping,
                              State& state,
                              std::vector<Tracked>& tracked) {
  const StopRules& rules = stopping.sweep->stop;
  if (!rules.any()) return {};
  if (rules.predicted) state.sweeps[stopping.number].foresight = rules.predicted->foresight;
  std::unordered_map<std::string_view, std::size_t> node_of;
  for (std::size_t i = 0; i < tracked.size(); ++i) node_of.emplace(tracked[i].id, i);
  std::unordered_map<std::string_view, const store::RunRow*> row_of;
  for (const store::RunRow& row : *stopping.members) row_of.emplace(row.run, &row);
  std::unordered_map<std::string_view, const PlannedRun*> planned;
  for (const PlannedRun& run : stopping.all->runs) planned.emplace(run.id, &run);
  std::map<std::string, std::size_t> brackets;
  std::map<std::string, std::size_t> configurations;
  for (const PlannedRun& run : stopping.all->runs) {
    const auto node = node_of.find(run.id);
    const bool of_another =
        node != node_of.end() && state.nodes[node->second].sweep != stopping.number;
    if (of_another || is_left_alone(run)) continue;
    Contestant contestant{.tokens = static_cast<double>(run.spec.tokens)};
    if (rules.halving) {
      const auto [bracket, fresh] =
          brackets.try_emplace(key_of(run.spec, rules.halving->bracket), state.brackets.size());
      if (fresh) state.brackets.emplace_back(rules.halving->halving);
      contestant.bracket = bracket->second;
      contestant.configuration =
          configurations.try_emplace(configuration_of(run.spec, planned), configurations.size())
              .first->second;
    }
    const auto row = row_of.find(run.id);
    if (row != row_of.end() && row->second->attempts > 0) {
      Result<std::vector<store::Evaluation>> known = store.evaluations(run.id);
      if (!known) return std::move(known).error();
      for (const store::Evaluation& each : *known)
        if (std::isfinite(each.loss) && rules.halving)
          state.brackets[contestant.bracket].reach(contestant, each.tokens, each.loss);
      if (node != node_of.end() && !known->empty())
        tracked[node->second].evaluated_step = known->back().step;
    }
    if (node == node_of.end()) continue;
    state.nodes[node->second].contestant = contestant;
    if (rules.predicted && stopping.law != nullptr && *stopping.law)
      state.nodes[node->second].foreseen = (*stopping.law)(*stopping.sweep, run.spec);
  }
  return {};
}

}  // namespace ration::scheduler
