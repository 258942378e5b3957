#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/store_option.h"

namespace ration::cli {
namespace {

constexpr double kFollowSeconds = 0.3;  // between two looks

// The attempt asked for, or the newest.
Result<int> chosen_attempt(const Arguments& arguments, const run::RunFolder& folder) {
  Result<std::optional<std::int64_t>> asked = arguments.whole("attempt", 1, 1'000'000'000);
  if (!asked) return std::move(asked).error();
  Result<std::vector<int>> attempts = folder.attempts();
  const bool none = !attempts || attempts->empty();
  const bool known =
      !none &&
      (!*asked ||
       std::find(attempts->begin(), attempts->end(), static_cast<int>(**asked)) != attempts->end());
  if (none || !known)
    return Error{.kind = ErrorKind::input,
                 .what = none ? "this run was not started yet"
                              : fmt::format("this run has no attempt {}", **asked),
                 .hint = none ? "`ration explain RUN` says why it waits"
                              : fmt::format("its newest is {}", attempts->back())};
  return *asked ? static_cast<int>(**asked) : attempts->back();
}

// Prints what is new from `offset` on; returns where the file ends now.
Result<std::uint64_t> print_from(const Console& console, const Path& log, std::uint64_t offset) {
  if (!real_files().exists(log)) return offset;
  Result<std::string> text = real_files().read_range(log, offset, UINT64_MAX);
  if (!text) return std::move(text).error();
  console.print(*text);
  std::fflush(stdout);
  return offset + text->size();
}

// Whether nothing more will come: its supervisor noted the end, or a scheduler found that it is
// gone.
bool attempt_over(const store::Reader& store, const store::RunRow& row, int attempt) {
  const run::RunFolder folder(real_files(), store.layout().run(row.run));
  if (real_files().exists(folder.exit_path(attempt))) return true;
  const Result<std::vector<store::AttemptRow>> attempts = store.attempts(row.id);
  return attempts && std::any_of(attempts->begin(), attempts->end(), [&](const auto& known) {
           return known.number == attempt && store::ended(known.state);
         });
}

Result<int> follow(const Console& console,
                   const store::Reader& store,
                   const store::RunRow& row,
                   int attempt) {
  const run::RunFolder folder(real_files(), store.layout().run(row.run));
  std::uint64_t offset = 0;
  for (;;) {
    const bool over = attempt_over(store, row, attempt);
    Result<std::uint64_t> end = print_from(console, folder.log_path(attempt), offset);
    if (!end) return std::move(end).error();
    offset = *end;
    if (over) return 0;
    system_clock().sleep(kFollowSeconds);
  }
}

Result<int> run_logs(const Arguments& arguments) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<store::RunRow> row = store->find_run(arguments.positional.front());
  if (!row) return std::move(row).error();
  const run::RunFolder folder(real_files(), store->layout().run(row->run));
  Result<int> attempt = chosen_attempt(arguments, folder);
  if (!attempt) return std::move(attempt).error();
  const Path log = folder.log_path(*attempt);
  if (arguments.console.json) {
    const std::string text =
        real_files().exists(log) ? real_files().read(log).value_or("") : std::string();
    arguments.console.print_json({{"schema", "ration.logs/1"},
                                  {"run", row->run},
                                  {"attempt", *attempt},
                                  {"file", log.string()},
                                  {"text", text}});
    return 0;
  }
  if (arguments.flag("follow")) return follow(arguments.console, *store, *row, *attempt);
  Result<std::uint64_t> end = print_from(arguments.console, log, 0);
  if (!end) return std::move(end).error();
  return 0;
}

}  // namespace

Command logs_command() {
  return {.name = "logs",
          .summary = "Print what a run's worker said",
          .arguments = "RUN",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "follow", .help = "Go on until the attempt ends.", .letter = 'f'},
                      {.name = "attempt",
                       .value = "N",
                       .help = "An earlier attempt; the newest unless given."}},
          .description = "  ration logs 3f2a --follow",
          .execute = run_logs};
}

}  // namespace ration::cli
