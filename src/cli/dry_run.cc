#include "cli/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/text.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "run/count.h"
#include "run/steps.h"
#include "scheduler/parents.h"
#include "scheduler/room.h"

namespace ration::cli {
namespace {

using namespace scheduler;

constexpr std::size_t kRowsShown = 40;

// What the runs that would be started leave on the disk: the newest two checkpoints of each and
// those that branches need, and while they run one more at a time for each slot. Weights and the
// optimiser's two moments; logs are small beside them.
double disk_bytes(const Plan& plan, const SweepOptions& options, int slots) {
  double bytes = 0;
  std::vector<double> sizes;
  for (const PlanRow& row : plan.rows) {
    const bool starts = row.plan_class == PlanClass::fresh ||
                        row.plan_class == PlanClass::to_continue ||
                        (row.plan_class == PlanClass::failed_before && options.retry_failed);
    if (!starts) continue;
    const run::RunSpec& spec = row.run->spec;
    const double size = 3 * run::count_params(spec).total * (spec.precision == "fp64" ? 8 : 4);
    const auto kept = run::kept_steps(row.run->execution.keep_steps).size();
    bytes += size * static_cast<double>(2 + kept);
    sizes.push_back(size);
  }
  std::sort(sizes.rbegin(), sizes.rend());
  sizes.resize(std::min(sizes.size(), static_cast<std::size_t>(slots)));
  return std::accumulate(sizes.begin(), sizes.end(), bytes);
}

// Free bytes where the store is, or would be made; 0 = not known.
double free_bytes(const Path& store) {
  std::error_code code;
  for (Path folder = std::filesystem::absolute(store);; folder = folder.parent_path()) {
    const auto space = std::filesystem::space(folder, code);
    if (!code) return static_cast<double>(space.available);
    if (folder == folder.parent_path()) return 0;
  }
}

struct Disk {
  double needed = 0;  // bytes
  double free = 0;    // bytes; 0 = not known
};

Json budget_json(const Caps& caps, const Plan& plan) {
  const bool passes = plan.next.flops > 0 && !passed(caps, plan.used, plan.next).empty();
  const bool asks_for_time = std::isfinite(caps.hours) || std::isfinite(caps.cost);
  const bool known = !asks_for_time || plan.next.seconds > 0 || plan.next.flops == 0;
  const Json fits = passes ? Json(false) : known ? Json(true) : Json();
  const auto cap = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return {{"max_flops", cap(caps.flops)},
          {"max_hours", cap(caps.hours)},
          {"max_cost", cap(caps.cost)},
          {"price", caps.price > 0 ? Json(caps.price) : Json()},
          {"flops_used", plan.used.flops},
          {"slot_seconds_used", plan.used.seconds},
          {"slot_seconds_to_do", plan.next.seconds > 0 ? Json(plan.next.seconds) : Json()},
          {"fits", fits}};
}

Json plan_json(
    const Sweep& sweep, const Plan& plan, const Disk& disk, const Caps& caps, int slots) {
  Json counts = Json::object();
  for (std::size_t i = 0; i < kPlanClasses; ++i)
    counts[std::string(name(static_cast<PlanClass>(i)))] = plan.counts[i];
  Json rows = Json::array();
  for (const PlanRow& row : plan.rows)
    rows.push_back({{"run", row.run->id},
                    {"class", name(row.plan_class)},
                    {"why", row.why},
                    {"params", row.run->facts.params},
                    {"tokens", row.run->spec.tokens},
                    {"unique_tokens", row.run->spec.unique_tokens},
                    {"epochs", row.run->facts.epochs},
                    {"flops", row.run->facts.flops}});
  return {{"schema", "ration.sweep_plan/1"},
          {"sweep", sweep.name},
          {"runs", plan.rows.size()},
          {"counts", counts},
          {"duplicates_merged", plan.expansion.merged},
          {"notes", plan.expansion.notes},
          {"excluded", plan.expansion.excluded},
          {"added", plan.added},
          {"removed", plan.removed},
          {"flops_total", plan.flops_total},
          {"flops_to_do", plan.flops_to_do},
          {"slots", slots},
          {"estimate_s", plan.seconds > 0 ? Json(plan.seconds) : Json()},
          {"budget", caps.any() ? budget_json(caps, plan) : Json()},
          {"disk_bytes", disk.needed},
          {"disk_free_bytes", disk.free > 0 ? Json(disk.free) : Json()},
          {"rows", rows}};
}

std::string plan_text(
    const Sweep& sweep, const Plan& plan, const Disk& disk, const Caps& caps, int slots) {
  std::string text = fmt::format("sweep {}: {} runs", sweep.name, plan.rows.size());
  for (std::size_t i = 0; i < kPlanClasses; ++i)
    if (plan.counts[i] > 0)
      text += fmt::format(", {} {}", plan.counts[i], name(static_cast<PlanClass>(i)));
  text += "\n";
  if (plan.added + plan.removed > 0 && plan.removed > 0)
    text += fmt::format(
        "against the last version of this sweep: {} runs more, {} no longer asked for (kept)\n",
        plan.added,
        plan.removed);
  text += fmt::format("compute: {} to do of {}\n",
                      format_quantity(plan.flops_to_do, "flop"),
                      format_quantity(plan.flops_total, "flop"));
  text +=
      plan.seconds > 0
          ? fmt::format("time: about {} with {} at once\n", format_duration(plan.seconds), slots)
          : std::string("time: not known before the first run has ended\n");
  text += describe(caps, plan.used, plan.next);
  text += fmt::format("disk: about {} for checkpoints", format_quantity(disk.needed, "B"));
  if (disk.free > 0) text += fmt::format(", {} are free", format_quantity(disk.free, "B"));
  text += disk.free > 0 && disk.needed > disk.free ? ": too little\n" : "\n";
  std::vector<std::vector<std::string>> cells = {
      {"run", "class", "params", "tokens", "epochs", "why"}};
  for (const PlanRow& row : plan.rows) {
    if (cells.size() > kRowsShown) break;
    cells.push_back({short_id(row.run->id),
                     std::string(name(row.plan_class)),
                     format_quantity(row.run->facts.params),
                     format_quantity(static_cast<double>(row.run->spec.tokens), "tok"),
                     fmt::format("{:.3g}", row.run->facts.epochs),
                     row.why});
  }
  text += table(cells);
  if (plan.rows.size() > kRowsShown)
    text += fmt::format("… and {} more (--json lists all)\n", plan.rows.size() - kRowsShown);
  return text;
}

// That `ration run` would end at once, for want of weights that runs begin with. With --only the
// runs that these ask for are not among `plans`: nothing is said then.
void tell_of_missing(std::vector<Expansion>& plans,
                     const store::Reader* reader,
                     const SweepOptions& options,
                     const Console& console) {
  if (!options.expand.only.empty()) return;
  std::vector<Expansion*> all;
  std::vector<const PlannedRun*> runs;
  for (Expansion& plan : plans) {
    all.push_back(&plan);
    for (const PlannedRun& run : plan.runs) runs.push_back(&run);
  }
  const RunsById inside = runs_by_id(all);
  for (const Result<void>& check :
       {check_parents_outside(runs, inside, reader), check_parents_models(runs, inside, reader)})
    if (!check) console.note(check.error().describe());
}

}  // namespace

Result<int> dry_run(const Arguments& arguments,
                    std::span<const Sweep> sweeps,
                    const SweepOptions& options) {
  if (std::optional<Error> error = conflict(sweeps)) return std::move(*error);
  std::optional<store::Reader> reader;
  if (real_files().exists(store::Layout{options.store}.database())) {
    Result<store::Reader> opened = store::Reader::open(real_files(), options.store);
    if (!opened) return std::move(opened).error();
    reader = std::move(*opened);
  }
  const Console& console = arguments.console;
  std::map<std::string, std::string> asked;  // run-ids, and the sweep that asks first
  Json plans = Json::array();
  std::vector<Expansion> expansions;
  for (const Sweep& sweep : sweeps) {
    Result<Expansion> expansion = expand(sweep, real_files(), options.expand);
    if (!expansion) return std::move(expansion).error();
    Result<Plan> plan = make_plan(sweep,
                                  std::move(*expansion),
                                  reader ? &*reader : nullptr,
                                  {.retry_failed = options.retry_failed,
                                   .usage = options.policy.caps.any(),
                                   .shared = &asked});
    if (!plan) return std::move(plan).error();
    const Result<Room> room = room_for(plan->expansion, options, plan->flops_to_do > 0);
    if (!room) return room.error();
    for (const std::string& warning : room->warnings) console.note(warning);
    for (const std::string& note : plan->expansion.notes) console.note(note);
    const int slots = room->at_once;
    plan->seconds /= slots;
    const Disk disk{.needed = disk_bytes(*plan, options, slots), .free = free_bytes(options.store)};
    if (console.json)
      plans.push_back(plan_json(sweep, *plan, disk, options.policy.caps, slots));
    else
      console.print((asked.empty() ? "" : "\n") +
                    plan_text(sweep, *plan, disk, options.policy.caps, slots));
    if (sweeps.size() > 1)
      for (const PlanRow& row : plan->rows) asked.try_emplace(row.run->id, sweep.name);
    expansions.push_back(std::move(plan->expansion));
  }
  tell_of_missing(expansions, reader ? &*reader : nullptr, options, console);
  if (console.json)
    console.print_json(
        sweeps.size() == 1 ? plans[0] : Json{{"schema", "ration.sweep_plans/1"}, {"plans", plans}});
  return 0;
}

}  // namespace ration::cli
