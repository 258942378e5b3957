#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/notes.h"
#include "cli/store_option.h"
#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"

namespace ration::cli {
namespace {

// Asks on a terminal; elsewhere --yes is needed.
Result<bool> confirmed(const Arguments& arguments, std::size_t runs) {
  if (arguments.flag("yes")) return true;
  if (isatty(STDIN_FILENO) != 1)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("cancelling {} needs a word", counted(runs, "run")),
                 .hint = "repeat the command with --yes"};
  fmt::print(stderr, "cancel {}? [y/N] ", counted(runs, "run"));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Prints what became of each run. Exit 1 when some were refused.
int answer(const Arguments& arguments,
           const char* schema,
           const std::vector<scheduler::RequestOutcome>& outcomes) {
  int code = 0;
  Json runs = Json::array();
  for (const scheduler::RequestOutcome& outcome : outcomes) {
    if (!outcome.done) code = 1;
    runs.push_back({{"run", outcome.run}, {"done", outcome.done}, {"what", outcome.what}});
    if (arguments.console.json) continue;
    const std::string text = arguments.console.quiet
                                 ? outcome.run
                                 : fmt::format("{}  {}", short_id(outcome.run), outcome.what);
    arguments.console.print(text + "\n");
  }
  if (arguments.console.json) arguments.console.print_json({{"schema", schema}, {"runs", runs}});
  return code;
}

bool can_end(const store::Layout&, const store::RunRow& row) {
  return row.state == store::RunState::ready || row.state == store::RunState::active;
}

// A mark of `ration cancel` may be there before a scheduler has seen it.
bool can_start_again(const store::Layout& layout, const store::RunRow& row) {
  return row.state == store::RunState::failed || row.state == store::RunState::invalid ||
         row.state == store::RunState::cancelled ||
         (row.state == store::RunState::ready &&
          scheduler::marked_cancelled(real_files(), {real_files(), layout.run(row.run)}));
}

// Other sweeps that lose these runs as well: runs are shared.
Result<void> tell_of_other_sweeps(const Arguments& arguments,
                                  const std::vector<store::RunRow>& rows) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  std::string named;
  if (const auto sweep = arguments.text("sweep")) {
    const Result<store::SweepRow> row = store->find_sweep(*sweep);
    if (!row) return row.error();
    named = row->name;
  }
  std::set<std::string> others;
  std::size_t runs = 0;
  for (const store::RunRow& row : rows) {
    Result<std::vector<std::string>> sweeps = store->sweeps_of(row.id);
    if (!sweeps) return std::move(sweeps).error();
    std::erase(*sweeps, named);
    // Of runs that were named alone it is worth a word only that there are several.
    if (sweeps->size() < (named.empty() ? 2 : 1)) continue;
    ++runs;
    others.insert(sweeps->begin(), sweeps->end());
  }
  if (runs > 0)
    arguments.console.note(fmt::format("{} {} also asked for by: {}",
                                       counted(runs, "run"),
                                       runs == 1 ? "is" : "are",
                                       fmt::join(others, ", ")));
  return {};
}

using Applies = bool (*)(const store::Layout& layout, const store::RunRow& row);

// Of a whole sweep only those that the verb can apply to; runs named one by one stay.
Result<std::vector<store::RunRow>> chosen_runs(const Arguments& arguments, Applies applies) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<store::RunRow>> rows = named_runs(*store, arguments);
  if (rows && arguments.positional.empty())
    std::erase_if(*rows, [&](const store::RunRow& row) { return !applies(store->layout(), row); });
  return rows;
}

Result<int> run_cancel(const Arguments& arguments) {
  guard_store(arguments);
  Result<std::vector<store::RunRow>> rows = chosen_runs(arguments, can_end);
  if (!rows) return std::move(rows).error();
  const auto to_end = std::count_if(rows->begin(), rows->end(), [](const store::RunRow& row) {
    return row.state != store::RunState::done && row.state != store::RunState::diverged;
  });
  if (rows->empty()) arguments.console.note("nothing to cancel: all runs have ended");
  if (to_end > 0) {
    if (Result<void> done = tell_of_other_sweeps(arguments, *rows); !done)
      return std::move(done).error();
    Result<bool> sure = confirmed(arguments, static_cast<std::size_t>(to_end));
    if (!sure) return std::move(sure).error();
    if (!*sure) return 0;
  }
  Notes notes(arguments.console);
  Result<std::vector<scheduler::RequestOutcome>> outcomes = scheduler::cancel_runs(
      *arguments.text("store"), *rows, {real_files(), system_clock(), notes});
  if (!outcomes) return std::move(outcomes).error();
  return answer(arguments, "ration.cancel/1", *outcomes);
}

Result<int> run_retry(const Arguments& arguments) {
  guard_store(arguments);
  Result<std::vector<store::RunRow>> rows = chosen_runs(arguments, can_start_again);
  if (!rows) return std::move(rows).error();
  if (rows->empty())
    arguments.console.note("nothing to retry: no run failed, is invalid or was cancelled");
  Notes notes(arguments.console);
  Result<std::vector<scheduler::RequestOutcome>> outcomes =
      scheduler::retry_runs(*arguments.text("store"), *rows, {real_files(), system_clock(), notes});
  if (!outcomes) return std::move(outcomes).error();
  return answer(arguments, "ration.retry/1", *outcomes);
}

constexpr std::size_t kMany = 100'000;

}  // namespace

Command cancel_command() {
  return {.name = "cancel",
          .summary = "End runs; their checkpoints stay",
          .arguments = "RUN…",
          .max_arguments = kMany,
          .options = {store_option(),
                      {.name = "sweep",
                       .value = "SWEEP",
                       .help = "All runs of a sweep that have not ended."},
                      {.name = "yes", .help = "Do not ask."}},
          .description = "  ration cancel 3f2a\n  ration cancel --sweep tiny --yes",
          .execute = run_cancel};
}

Command retry_command() {
  return {.name = "retry",
          .summary = "Let failed, cancelled or stopped runs start again",
          .arguments = "RUN…",
          .max_arguments = kMany,
          .options = {store_option(),
                      {.name = "sweep",
                       .value = "SWEEP",
                       .help = "All failed, invalid and cancelled runs of a sweep."}},
          .description = "  ration retry 3f2a && ration run sweep.toml",
          .execute = run_retry};
}

}  // namespace ration::cli
