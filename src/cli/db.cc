#include <fmt/format.h>

#include <ctime>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/store_option.h"
#include "scheduler/scheduler.h"
#include "store/writer.h"

namespace ration::cli {
namespace {

constexpr const char* kKept = "ration.db.before-rebuild";

Option take_over_option() {
  return {.name = "take-over",
          .help =
              "Take the store from a scheduler on another host that has been silent for a "
              "minute; off, for it would go on unaware."};
}

Result<int> run_rebuild(const Arguments& arguments) {
  guard_store(arguments);
  Result<scheduler::RebuildSummary> summary = scheduler::rebuild_store(
      *arguments.text("store"), real_files(), system_clock(), arguments.flag("take-over"));
  if (!summary) return std::move(summary).error();
  if (arguments.console.json) {
    arguments.console.print_json({{"schema", "ration.db_rebuild/1"},
                                  {"sweeps", summary->sweeps},
                                  {"runs", summary->runs},
                                  {"attempts", summary->attempts},
                                  {"fits", summary->fits},
                                  {"evals", summary->evals},
                                  {"problems", summary->problems},
                                  {"notes", summary->notes},
                                  {"kept", summary->replaced ? Json(kKept) : Json()}});
  } else {
    const auto count = [](std::int64_t number, std::string_view word) {
      return counted(static_cast<std::size_t>(number), word);
    };
    arguments.console.print(fmt::format(
        "{}, {}, {}, {}{}\n",
        count(summary->sweeps, "sweep"),
        count(summary->runs, "run"),
        count(summary->attempts, "attempt"),
        count(summary->fits, "fit"),
        summary->evals == 0 ? std::string() : ", " + count(summary->evals, "evaluation")));
    if (summary->replaced)
      arguments.console.note(fmt::format("the database before is kept as {}", kKept));
    for (const std::string& note : summary->notes) arguments.console.note(note);
    for (const std::string& problem : summary->problems)
      arguments.console.note("left out: " + problem);
  }
  return summary->problems.empty() ? 0 : 1;
}

Result<int> run_check(const Arguments& arguments) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  if (arguments.flag("dump")) {
    Result<std::string> dump = store->dump();
    if (!dump) return std::move(dump).error();
    arguments.console.print(*dump);
    return 0;
  }
  Result<std::vector<std::string>> problems = store->check();
  if (!problems) return std::move(problems).error();
  Result<std::vector<std::string>> missing = scheduler::check_folders(*store, real_files());
  if (!missing) return std::move(missing).error();
  problems->insert(problems->end(), missing->begin(), missing->end());
  if (arguments.console.json) {
    arguments.console.print_json({{"schema", "ration.db_check/1"}, {"problems", *problems}});
  } else {
    for (const std::string& problem : *problems) arguments.console.print(problem + "\n");
    if (problems->empty()) arguments.console.print("sound\n");
  }
  if (problems->empty()) return 0;
  return Error{.kind = ErrorKind::input,
               .what = fmt::format(
                   "{} in {}", counted(problems->size(), "problem"), *arguments.text("store")),
               .hint = "`ration db rebuild` makes the database again from the run folders"};
}

// ration-20261126-023300.db beside the database.
std::string name_of_now() {
  const auto now = static_cast<std::time_t>(system_clock().unix_seconds());
  std::tm parts{};
  localtime_r(&now, &parts);
  return fmt::format("ration-{:04}{:02}{:02}-{:02}{:02}{:02}.db",
                     parts.tm_year + 1900,
                     parts.tm_mon + 1,
                     parts.tm_mday,
                     parts.tm_hour,
                     parts.tm_min,
                     parts.tm_sec);
}

Result<int> run_backup(const Arguments& arguments) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  const auto named = arguments.text("out");
  const Path file = named ? Path(*named) : store->layout().folder / name_of_now();
  if (Result<void> free = refuse_own_file(store->layout(), file); !free)
    return std::move(free).error();
  if (Result<void> done = store->backup(real_files(), file); !done) return std::move(done).error();
  Result<std::uint64_t> bytes = real_files().size(file);
  if (!bytes) return std::move(bytes).error();
  if (arguments.console.json)
    arguments.console.print_json(
        {{"schema", "ration.db_backup/1"}, {"file", file.string()}, {"bytes", *bytes}});
  else
    arguments.console.print(file.string() + "\n");
  return 0;
}

Result<int> run_vacuum(const Arguments& arguments) {
  guard_store(arguments);
  const Path folder = *arguments.text("store");
  // Opening for writing would make a store where there is none.
  if (Result<store::Reader> there = open_store(arguments); !there) return std::move(there).error();
  Result<store::Writer> writer = store::Writer::open(
      real_files(), system_clock(), folder, {.take_over = arguments.flag("take-over")});
  if (!writer) return std::move(writer).error();
  for (const std::string& warning : writer->warnings()) arguments.console.note(warning);
  Result<store::VacuumSummary> summary = writer->vacuum();
  if (!summary) return std::move(summary).error();
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.db_vacuum/1"},
                                  {"bytes_before", summary->bytes_before},
                                  {"bytes_after", summary->bytes_after}});
  else
    arguments.console.print(
        fmt::format("{} before, {} after\n",
                    format_quantity(static_cast<double>(summary->bytes_before), "B"),
                    format_quantity(static_cast<double>(summary->bytes_after), "B")));
  return 0;
}

}  // namespace

Command db_backup_command() {
  return {.name = "db backup",
          .summary = "Copy the database to one file, also while a sweep is on",
          .arguments = "",
          .options = {store_option(),
                      {.name = "out",
                       .value = "FILE",
                       .help = "The copy; ration-<date>-<time>.db in the store unless given.",
                       .letter = 'o'}},
          .description =
              "The copy is the database as it stood at one moment; to go back, put it in "
              "the place of ration.db while no sweep is on, and remove ration.db-wal.\n\n"
              "  ration db backup -o before.db",
          .execute = run_backup};
}

Command db_vacuum_command() {
  return {.name = "db vacuum",
          .summary = "Make the database's file as small as it can be, while no sweep is on",
          .arguments = "",
          .options = {store_option(), take_over_option()},
          .description =
              "Takes as much free space as the database has, for a while.\n\n"
              "  ration db vacuum",
          .execute = run_vacuum};
}

Command db_rebuild_command() {
  return {.name = "db rebuild",
          .summary = "Make the database again from sweeps, run folders, fits and evaluations",
          .arguments = "",
          .options = {store_option(), take_over_option()},
          .description =
              "For a database that was lost, damaged or written by another version. The "
              "old one is replaced at the very end, and kept as ration.db.before-rebuild.\n\n"
              "  ration db rebuild",
          .execute = run_rebuild};
}

Command db_check_command() {
  return {.name = "db check",
          .summary = "Look for damage and contradictions in the database",
          .arguments = "",
          .options = {store_option(),
                      {.name = "dump",
                       .help = "Print instead all that must be equal after a rebuild, as text."}},
          .description = "  ration db check",
          .execute = run_check};
}

}  // namespace ration::cli
