#include <fmt/format.h>

#include "scheduler/scheduler.h"

namespace ration::scheduler {

Result<std::vector<std::string>> check_folders(const store::Reader& store, Files& files) {
  Result<std::vector<store::RunRow>> rows = store.runs(std::nullopt);
  if (!rows) return std::move(rows).error();
  std::vector<std::string> problems;
  for (const store::RunRow& row : *rows) {
    const run::RunFolder folder(files, store.layout().run(row.run));
    const bool finished = row.state == RunState::done || row.state == RunState::diverged;
    const bool given_up = row.state == RunState::failed || row.state == RunState::invalid;
    if (finished && !files.exists(folder.result_path()))
      problems.push_back(fmt::format("a finished run without result.json: {}", row.run));
    if (given_up && row.attempts > 0 && !files.exists(folder.path()))
      problems.push_back(fmt::format("a run that failed and has no folder: {}", row.run));
  }
  return problems;
}

}  // namespace ration::scheduler
