#include "cli/sweep_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

using store::RunState;

// Of the runs: what counts where none of them trains.
double share_with_result(const store::Progress& progress) {
  std::int64_t all = 0, good = 0;
  for (int i = 0; i < store::kRunStates; ++i) {
    const auto state = static_cast<RunState>(i);
    const std::int64_t runs = progress.by_state[static_cast<std::size_t>(i)];
    all += runs;
    if (state == RunState::done || state == RunState::diverged || state == RunState::stopped)
      good += runs;
  }
  return all > 0 ? static_cast<double>(good) / static_cast<double>(all) : 0;
}

SweepStatus status_of(store::SweepRow sweep, store::Progress progress) {
  SweepStatus status{.sweep = std::move(sweep), .progress = std::move(progress)};
  const store::Progress& p = status.progress;
  double done = p.flops_settled;
  for (const store::RunRow& row : p.active)
    if (row.tokens > 0) done += row.flops * std::min(1.0, row.tokens_seen / row.tokens);
  status.fraction =
      p.flops_total > 0 ? (done - p.flops_in_vain) / p.flops_total : share_with_result(p);
  const double speed = p.flops_per_second * static_cast<double>(p.active.size());
  if (speed > 0) status.eta_seconds = (p.flops_total - done) / speed;
  return status;
}

}  // namespace

Result<std::vector<SweepStatus>> gather_sweeps(const store::Reader& store,
                                               const Arguments& arguments) {
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

Result<std::string> nobody_text(const store::Reader& store,
                                const std::vector<SweepStatus>& statuses,
                                double now) {
  const bool open = std::any_of(statuses.begin(), statuses.end(), [](const SweepStatus& status) {
    const auto count = [&](RunState state) {
      return status.progress.by_state[static_cast<std::size_t>(state)];
    };
    return count(RunState::ready) + count(RunState::active) > 0;
  });
  if (!open) return std::string();
  const Result<std::optional<std::string>> holder = store.holder(now);
  if (!holder) return holder.error();
  if (*holder) return std::string();
  return std::string("no `ration run` is on: the same command goes on with what is not ended\n");
}

std::string overview_text(const std::vector<SweepStatus>& statuses, bool narrow) {
  std::vector<std::vector<std::string>> cells = {{"sweep", "runs"}};
  std::vector<std::size_t> states;
  for (std::size_t i = 0; i < store::kRunStates; ++i) {
    const bool used = std::any_of(statuses.begin(), statuses.end(), [&](const SweepStatus& status) {
      return status.progress.by_state[i] > 0;
    });
    // Most sweeps never see these.
    const bool rare = i >= static_cast<std::size_t>(store::RunState::stopped);
    if ((narrow || rare) && !used) continue;
    states.push_back(i);
    cells[0].emplace_back(name(static_cast<store::RunState>(i)));
  }
  cells[0].insert(cells[0].end(), {"compute", "left"});
  for (const SweepStatus& status : statuses) {
    std::vector<std::string> row = {status.sweep.name, std::to_string(status.sweep.runs)};
    for (const std::size_t state : states) {
      const std::int64_t count = status.progress.by_state[state];
      row.push_back(count > 0 ? std::to_string(count) : "-");
    }
    row.push_back(fmt::format("{:.0f} %", 100 * status.fraction));
    row.push_back(status.eta_seconds >= 0 ? format_duration(status.eta_seconds) : "-");
    cells.push_back(std::move(row));
  }
  return table(cells);
}

}  // namespace ration::cli
