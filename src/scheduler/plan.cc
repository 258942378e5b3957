#include "scheduler/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "scheduler/budget.h"

namespace ration::scheduler {
namespace {

using store::RunRow;
using store::RunState;

PlanRow classify(const PlannedRun& run, const RunRow* row) {
  if (row == nullptr) return {&run, PlanClass::fresh, "not in the store"};
  switch (row->state) {
    case RunState::done:
      return {&run,
              PlanClass::done,
              run.spec.points.empty() ? fmt::format("final loss {:.4f}", row->final_loss)
                                      : "its points are evaluated"};
    case RunState::diverged:
      return {&run, PlanClass::diverged, "diverged; a result, never retried by itself"};
    case RunState::failed:
    case RunState::invalid:
      return {&run, PlanClass::failed_before, row->reason};
    case RunState::cancelled:
      return {&run, PlanClass::cancelled, "cancelled; `ration retry` takes it back"};
    case RunState::stopped:
      return {&run, PlanClass::stopped, row->reason + "; `ration retry` lets it go on"};
    case RunState::skipped:
      return {&run, PlanClass::skipped, row->reason};
    case RunState::active:
      return {&run, PlanClass::to_continue, "active"};
    case RunState::ready:
      break;
  }
  if (row->attempts == 0) return {&run, PlanClass::fresh, "never started"};
  return {&run,
          PlanClass::to_continue,
          row->reason.empty() ? fmt::format("{} attempts so far", row->attempts) : row->reason};
}

bool starts(PlanClass plan_class, bool retry_failed) {
  return plan_class == PlanClass::fresh || plan_class == PlanClass::to_continue ||
         ((plan_class == PlanClass::failed_before || plan_class == PlanClass::skipped) &&
          retry_failed);
}

Result<void> compare_with_older(const Sweep& sweep, const store::Reader& reader, Plan& plan) {
  Result<store::SweepRow> older = reader.find_sweep(sweep.name);
  if (!older) return {};  // the first version
  Result<std::vector<RunRow>> members = reader.runs(older->id);
  if (!members) return std::move(members).error();
  std::set<std::string> before;
  for (const RunRow& row : *members) before.insert(row.run);
  std::int64_t kept = 0;
  for (const PlannedRun& run : plan.expansion.runs) kept += before.contains(run.id) ? 1 : 0;
  plan.added = static_cast<std::int64_t>(plan.expansion.runs.size()) - kept;
  plan.removed = static_cast<std::int64_t>(before.size()) - kept;
  return {};
}

}  // namespace

std::string_view name(PlanClass plan_class) {
  static constexpr std::array<std::string_view, kPlanClasses> kNames = {"new",
                                                                        "to continue",
                                                                        "done",
                                                                        "diverged",
                                                                        "failed before",
                                                                        "cancelled",
                                                                        "stopped",
                                                                        "skipped",
                                                                        "shared"};
  return kNames[static_cast<std::size_t>(plan_class)];
}

double flops_left(const store::RunRow& row, double planned) {
  if (row.attempts == 0 || row.tokens <= 0) return planned;
  // Of a branch, the part before it began counts as seen.
  return std::clamp(row.flops * (1 - row.tokens_seen / row.tokens), 0.0, planned);
}

Result<Plan> make_plan(const Sweep& sweep,
                       Expansion expansion,
                       const store::Reader* reader,
                       const PlanOptions& options) {
  Plan plan{.expansion = std::move(expansion)};
  std::unordered_map<std::string, RunRow> known;
  double speed = 0;
  if (reader != nullptr) {
    Result<std::vector<RunRow>> rows = reader->runs(std::nullopt);
    if (!rows) return std::move(rows).error();
    for (RunRow& row : *rows) known.emplace(row.run, std::move(row));
    Result<store::Progress> progress = reader->progress(std::nullopt);
    if (!progress) return std::move(progress).error();
    speed = progress->flops_per_second;
    if (Result<void> done = compare_with_older(sweep, *reader, plan); !done)
      return std::move(done).error();
  }
  for (const PlannedRun& run : plan.expansion.runs) {
    const auto found = known.find(run.id);
    PlanRow row = classify(run, found == known.end() ? nullptr : &found->second);
    if (options.shared != nullptr && starts(row.plan_class, options.retry_failed))
      if (const auto other = options.shared->find(run.id); other != options.shared->end())
        row = {&run, PlanClass::shared, fmt::format("{} asks for it, too", other->second)};
    ++plan.counts[static_cast<std::size_t>(row.plan_class)];
    plan.flops_total += run.facts.flops;
    if (starts(row.plan_class, options.retry_failed))
      plan.flops_to_do +=
          found == known.end() ? run.facts.flops : flops_left(found->second, run.facts.flops);
    plan.rows.push_back(std::move(row));
  }
  if (options.usage && reader != nullptr) {
    Result<store::Usage> used = reader->usage_of_sweep(sweep.name);
    if (!used) return std::move(used).error();
    plan.used = *used;
  }
  plan.next = expected(plan.flops_to_do, plan.used, speed);
  if (speed > 0) plan.seconds = plan.flops_to_do / speed / options.slots;
  return plan;
}

}  // namespace ration::scheduler
