#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/store_option.h"
#include "cli/terminal_text.h"
#include "scheduler/last_words.h"
#include "scheduler/supervisor.h"

namespace ration::cli {
namespace {

constexpr double kFollowSeconds = 0.3;            // between two looks
constexpr std::uint64_t kLongestText = 4U << 20;  // bytes from the end that --json gives

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

// Prints what is new from `offset` on, piece by piece; returns where the file ends now.
Result<std::uint64_t> print_from(const Console& console, const Path& log, std::uint64_t offset) {
  constexpr std::uint64_t kPiece = 1U << 20;
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  while (real_files().exists(log)) {
    Result<std::string> text = real_files().read_range(log, offset, kPiece);
    if (!text) return std::move(text).error();
    if (text->empty()) break;
    console.print(terminal ? without_control_bytes(*text) : *text);
    if (std::fflush(stdout) != 0) return system_error("write", "standard output", errno);
    offset += text->size();
  }
  return offset;
}

// Whether nothing more will come: its supervisor noted the end, a scheduler found that it is gone,
// or neither supervisor nor worker is left on this machine.
bool attempt_over(const Arguments& arguments, const std::string& run, int attempt) {
  const run::RunFolder folder(real_files(), store::Layout{*arguments.text("store")}.run(run));
  if (real_files().exists(folder.exit_path(attempt))) return true;
  if (const auto note = scheduler::read_supervisor_note(real_files(), folder.attempt_path(attempt));
      note && note->host == host_name() && !alive(note->supervisor) && !alive(note->worker))
    return true;
  // Anew each time: a rebuild puts another file in the database's place.
  const Result<store::Reader> store = open_store(arguments);
  const Result<store::RunRow> row =
      store ? store->find_run(run) : Result<store::RunRow>(store.error());
  if (!row) return false;
  const Result<std::vector<store::AttemptRow>> attempts = store->attempts(row->id);
  return attempts && std::any_of(attempts->begin(), attempts->end(), [&](const auto& known) {
           return known.number == attempt && store::ended(known.state);
         });
}

Result<int> follow(const Arguments& arguments,
                   const std::string& run,
                   const Path& log,
                   int attempt) {
  std::uint64_t offset = 0;
  for (;;) {
    const bool over = attempt_over(arguments, run, attempt);
    Result<std::uint64_t> end = print_from(arguments.console, log, offset);
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
    const std::uint64_t size = real_files().size(log).value_or(0);
    arguments.console.print_json({{"schema", "ration.logs/1"},
                                  {"run", row->run},
                                  {"attempt", *attempt},
                                  {"file", log.string()},
                                  {"bytes", size},
                                  {"text", scheduler::tail_of(real_files(), log, kLongestText)}});
    return 0;
  }
  if (!real_files().exists(log))
    arguments.console.note(fmt::format("attempt {} has no log yet: {}", *attempt, log.string()));
  if (arguments.flag("follow")) return follow(arguments, row->run, log, *attempt);
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
