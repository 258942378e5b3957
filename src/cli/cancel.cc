#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/notes.h"
#include "cli/store_option.h"
#include "scheduler/scheduler.h"

namespace ration::cli {
namespace {

// Asks on a terminal; elsewhere --yes is needed.
Result<bool> confirmed(const Arguments& arguments, std::size_t runs) {
  if (arguments.flag("yes")) return true;
  if (isatty(STDIN_FILENO) != 1)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("cancelling {} runs needs a word", runs),
                 .hint = "repeat the command with --yes"};
  fmt::print(stderr, "cancel {} runs? [y/N] ", runs);
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

// Of a whole sweep only those that the verb can apply to; runs named one by one stay.
void keep_applicable(const Arguments& arguments,
                     std::vector<store::RunRow>& rows,
                     bool (*applies)(store::RunState)) {
  if (arguments.positional.empty())
    std::erase_if(rows, [&](const store::RunRow& row) { return !applies(row.state); });
}

Result<std::vector<store::RunRow>> chosen_runs(const Arguments& arguments,
                                               bool (*applies)(store::RunState)) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<store::RunRow>> rows = named_runs(*store, arguments);
  if (rows) keep_applicable(arguments, *rows, applies);
  return rows;
}

Result<int> run_cancel(const Arguments& arguments) {
  Result<std::vector<store::RunRow>> rows = chosen_runs(arguments, [](store::RunState state) {
    return state == store::RunState::ready || state == store::RunState::active;
  });
  if (!rows) return std::move(rows).error();
  if (!rows->empty()) {
    Result<bool> sure = confirmed(arguments, rows->size());
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
  Result<std::vector<store::RunRow>> rows = chosen_runs(arguments, [](store::RunState state) {
    return state == store::RunState::failed || state == store::RunState::invalid ||
           state == store::RunState::cancelled;
  });
  if (!rows) return std::move(rows).error();
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
