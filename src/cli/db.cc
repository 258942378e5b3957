#include <fmt/format.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/store_option.h"
#include "scheduler/scheduler.h"

namespace ration::cli {
namespace {

Result<int> run_rebuild(const Arguments& arguments) {
  Result<scheduler::RebuildSummary> summary =
      scheduler::rebuild_store(*arguments.text("store"), real_files(), system_clock());
  if (!summary) return std::move(summary).error();
  if (arguments.console.json) {
    arguments.console.print_json({{"schema", "ration.db_rebuild/1"},
                                  {"sweeps", summary->sweeps},
                                  {"runs", summary->runs},
                                  {"attempts", summary->attempts},
                                  {"fits", summary->fits},
                                  {"problems", summary->problems}});
  } else {
    arguments.console.print(fmt::format("{} sweeps, {} runs, {} attempts, {} fits\n",
                                        summary->sweeps,
                                        summary->runs,
                                        summary->attempts,
                                        summary->fits));
    for (const std::string& problem : summary->problems)
      arguments.console.note("left out: " + problem);
  }
  return summary->problems.empty() ? 0 : 1;
}

Result<int> run_check(const Arguments& arguments) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<std::string>> problems = store->check();
  if (!problems) return std::move(problems).error();
  if (arguments.flag("dump")) {
    Result<std::string> dump = store->dump();
    if (!dump) return std::move(dump).error();
    arguments.console.print(*dump);
    return 0;
  }
  if (arguments.console.json) {
    arguments.console.print_json({{"schema", "ration.db_check/1"}, {"problems", *problems}});
  } else {
    for (const std::string& problem : *problems) arguments.console.print(problem + "\n");
    if (problems->empty()) arguments.console.print("sound\n");
  }
  if (problems->empty()) return 0;
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} problems in {}", problems->size(), *arguments.text("store")),
               .hint = "`ration db rebuild` makes the database again from the run folders"};
}

}  // namespace

Command db_rebuild_command() {
  return {.name = "db rebuild",
          .summary = "Make the database again from sweeps, run folders and fits",
          .arguments = "",
          .options = {store_option()},
          .description =
              "For a database that was lost, damaged or written by another version. The "
              "old one is replaced at the very end.\n\n  ration db rebuild",
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
