#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/notes.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "scheduler/catch_up.h"

namespace ration::cli {
namespace {

using store::RunState;

struct SweepStatus {
  store::SweepRow sweep;
  store::Progress progress;
  double fraction = 0;      // of the FLOPs
  double eta_seconds = -1;  // negative = not known, or nothing is active
};

SweepStatus status_of(store::SweepRow sweep, store::Progress progress) {
  SweepStatus status{.sweep = std::move(sweep), .progress = std::move(progress)};
  const store::Progress& p = status.progress;
  double done = p.flops_settled;
  for (const store::RunRow& row : p.active)
    if (row.tokens > 0) done += row.flops * std::min(1.0, row.tokens_seen / row.tokens);
  status.fraction = p.flops_total > 0 ? done / p.flops_total : 0;
  const double speed = p.flops_per_second * static_cast<double>(p.active.size());
  if (speed > 0) status.eta_seconds = (p.flops_total - done) / speed;
  return status;
}

// The sweep that was named, or the newest version of each.
Result<std::vector<SweepStatus>> gather(const store::Reader& store, const Arguments& arguments) {
  std::vector<store::SweepRow> sweeps;
  if (!arguments.positional.empty()) {
    Result<store::SweepRow> sweep = store.find_sweep(arguments.positional.front());
    if (!sweep) return std::move(sweep).error();
    sweeps.push_back(std::move(*sweep));
  } else {
    Result<std::vector<store::SweepRow>> all = store.sweeps();
    if (!all) return std::move(all).error();
    std::set<std::string> names;
    constexpr std::size_t kNewest = 20;
    for (store::SweepRow& row : *all)
      if (names.size() < kNewest && names.insert(row.name).second) sweeps.push_back(std::move(row));
  }
  std::vector<SweepStatus> statuses;
  for (store::SweepRow& sweep : sweeps) {
    Result<store::Progress> progress = store.progress(sweep.id);
    if (!progress) return std::move(progress).error();
    statuses.push_back(status_of(std::move(sweep), std::move(*progress)));
  }
  return statuses;
}

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

std::string overview_text(const std::vector<SweepStatus>& statuses) {
  std::vector<std::vector<std::string>> cells = {{"sweep", "runs"}};
  for (int i = 0; i < store::kRunStates; ++i) cells[0].emplace_back(name(static_cast<RunState>(i)));
  cells[0].insert(cells[0].end(), {"compute", "left"});
  for (const SweepStatus& status : statuses) {
    std::vector<std::string> row = {status.sweep.name, std::to_string(status.sweep.runs)};
    for (const std::int64_t count : status.progress.by_state)
      row.push_back(count > 0 ? std::to_string(count) : "-");
    row.push_back(fmt::format("{:.0f} %", 100 * status.fraction));
    row.push_back(status.eta_seconds >= 0 ? format_duration(status.eta_seconds) : "-");
    cells.push_back(std::move(row));
  }
  return table(cells);
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
          row.state == RunState::invalid)
        listed.push_back(std::move(row));
  }
  return listed;
}

Result<int> run_status(const Arguments& arguments) {
  Notes notes(arguments.console);
  // What stands in the store is shown even where this cannot be done, on a machine without SLURM.
  if (Result<void> done =
          scheduler::catch_up(*arguments.text("store"), {real_files(), system_clock(), notes});
      !done)
    arguments.console.note(done.error().what);
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<SweepStatus>> statuses = gather(*store, arguments);
  if (!statuses) return std::move(statuses).error();
  Result<std::vector<store::RunRow>> listed = listed_runs(*store, arguments, *statuses);
  if (!listed) return std::move(listed).error();

  const Console& console = arguments.console;
  if (console.json) {
    Json document = {{"schema", "ration.status/1"}, {"sweeps", Json::array()}};
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
  console.print(active_text(*statuses, system_clock().unix_seconds()));
  if (!listed->empty()) console.print("\n" + runs_table(*listed, listed->size()));
  return 0;
}

}  // namespace

Command status_command() {
  return {.name = "status",
          .summary = "Show how far sweeps are, while they run or later",
          .arguments = "[SWEEP]",
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "runs", .help = "List every run."},
                      {.name = "failed", .help = "List the runs that failed or cannot run."}},
          .description = "  ration status\n  ration status tiny --runs",
          .execute = run_status};
}

}  // namespace ration::cli
