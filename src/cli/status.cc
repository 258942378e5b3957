#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/notes.h"
#include "cli/store_option.h"
#include "cli/sweep_status.h"
#include "cli/table.h"
#include "scheduler/catch_up.h"

namespace ration::cli {
namespace {

using store::RunState;

Json to_json(const SweepStatus& status) {
  Json active = Json::array();
  for (const store::RunRow& row : status.progress.active) active.push_back(run_json(row));
  return {{"sweep", status.sweep.name},
          {"version", status.sweep.version},
          {"file", status.sweep.file},
          {"runs", status.sweep.runs},
          {"states", states_json(status.progress.by_state)},
          {"flops_total", status.progress.flops_total},
          {"fraction", status.fraction},
          {"eta_s", status.eta_seconds >= 0 ? Json(status.eta_seconds) : Json()},
          {"active", active}};
}

std::string active_text(const std::vector<SweepStatus>& statuses, double now) {
  std::vector<std::vector<std::string>> cells = {
      {"active run", "sweep", "params", "tokens", "done", "train loss", "since"}};
  for (const SweepStatus& status : statuses)
    for (const store::RunRow& row : status.progress.active)
      cells.push_back({short_id(row.run),
                       status.sweep.name,
                       format_quantity(row.params),
                       format_quantity(row.tokens, "tok"),
                       fmt::format("{:.0f} %", 100 * row.tokens_seen / std::max(1.0, row.tokens)),
                       row.last_loss == row.last_loss ? fmt::format("{:.4f}", row.last_loss) : "-",
                       format_duration(std::max(0.0, now - row.started))});
  return cells.size() > 1 ? "\n" + table(cells) : std::string();
}

// The runs that --runs or --failed ask for.
Result<std::vector<store::RunRow>> listed_runs(const store::Reader& store,
                                               const Arguments& arguments,
                                               const std::vector<SweepStatus>& statuses) {
  std::vector<store::RunRow> listed;
  if (!arguments.flag("runs") && !arguments.flag("failed")) return listed;
  for (const SweepStatus& status : statuses) {
    Result<std::vector<store::RunRow>> rows = store.runs(status.sweep.id);
    if (!rows) return std::move(rows).error();
    for (store::RunRow& row : *rows)
      if (!arguments.flag("failed") || row.state == RunState::failed ||
          row.state == RunState::invalid || row.state == RunState::skipped)
        listed.push_back(std::move(row));
  }
  return listed;
}

Result<int> run_status(const Arguments& arguments) {
  if (arguments.flag("watch")) return watch_sweeps(arguments);
  Notes notes(arguments.console);
  // What stands in the store is shown even where this cannot be done, on a machine without SLURM.
  if (Result<void> done =
          scheduler::catch_up(*arguments.text("store"), {real_files(), system_clock(), notes});
      !done)
    arguments.console.note(done.error().what);
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<SweepStatus>> statuses = gather_sweeps(*store, arguments);
  if (!statuses) return std::move(statuses).error();
  Result<std::vector<store::RunRow>> listed = listed_runs(*store, arguments, *statuses);
  if (!listed) return std::move(listed).error();

  const double now = system_clock().unix_seconds();
  const Result<std::string> nobody = nobody_text(*store, *statuses, now);
  if (!nobody) return nobody.error();
  const Console& console = arguments.console;
  if (console.json) {
    const Result<std::optional<std::string>> holder = store->holder(now);
    if (!holder) return holder.error();
    Json document = {{"schema", "ration.status/1"},
                     {"scheduler", *holder ? Json(**holder) : Json()},
                     {"sweeps", Json::array()}};
    for (const SweepStatus& status : *statuses) document["sweeps"].push_back(to_json(status));
    if (arguments.flag("runs") || arguments.flag("failed")) {
      document["runs"] = Json::array();
      for (const store::RunRow& row : *listed) document["runs"].push_back(run_json(row));
    }
    console.print_json(document);
    return 0;
  }
  if (console.quiet) {
    for (const store::RunRow& row : *listed) console.print(row.run + "\n");
    return 0;
  }
  console.print(overview_text(*statuses));
  console.print(active_text(*statuses, now));
  if (!nobody->empty()) console.print("\n" + *nobody);
  if (!listed->empty()) console.print("\n" + runs_table(*listed, listed->size()));
  return 0;
}

}  // namespace

Command status_command() {
  return {
      .name = "status",
      .summary = "Show how far sweeps are, while they run or later",
      .arguments = "[SWEEP]",
      .max_arguments = 1,
      .options = {store_option(),
                  {.name = "runs", .help = "List every run."},
                  {.name = "failed", .help = "List the runs that failed or cannot run."},
                  {.name = "watch",
                   .help = "Stay until every run has ended or Ctrl-C: on a terminal a table that "
                           "is redrawn each second, elsewhere a line for each change.",
                   .letter = 'w'}},
      .description = "  ration status\n  ration status tiny --runs\n  ration status --watch",
      .execute = run_status};
}

}  // namespace ration::cli
