#include "git/finished_run.h"

#include <fmt/format.h>

#include "base/json.h"
#include "run/folder.h"
#include "run/run_id.h"

namespace ration::git {
namespace {

Error refused(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

Result<Path> folder_of(Files& files, const Path& store, const std::string& run) {
  if (files.exists(Path(run) / "run.json")) return Path(run).lexically_normal();
  const Path runs = store / "runs";
  std::vector<std::string> found;
  for (const std::string& name : files.list(runs).value_or(std::vector<std::string>()))
    if (run::is_run_id(name) && name.starts_with(run)) found.push_back(name);
  if (found.size() == 1 && !run.empty()) return runs / found[0];
  if (found.size() > 1)
    return refused(
        fmt::format("{} runs of {} begin with \"{}\"", found.size(), store.string(), run),
        "give more of its digits");
  return refused(fmt::format("there is no run \"{}\" in {}", run, store.string()),
                 "name a run's folder, or give the store with --store");
}

std::string text_of(const Json& number) {
  return number.is_number_float() ? fmt::format("{}", number.get<double>()) : number.dump();
}

}  // namespace

Result<FinishedRun> find_finished_run(Files& files, const Path& store, const std::string& run) {
  Result<Path> path = folder_of(files, store, run);
  if (!path) return std::move(path).error();
  const run::RunFolder folder(files, *path);
  Result<std::optional<Json>> result = folder.result();
  if (!result) return std::move(result).error();
  if (!*result || !(*result)->is_object())
    return refused(fmt::format("the run {} is not finished: it has no result", path->string()),
                   "`ration explain` of the run says what it waits for");
  const Json status = (*result)->value("status", Json());
  if (status != "done")
    return refused(fmt::format("the run {} ended as {}", path->string(), status.dump()),
                   "only runs that are done can be committed");
  FinishedRun finished{.id = (*result)->value("id", Json()).is_string()
                                 ? (*result)->at("id").get<std::string>()
                                 : path->filename().string(),
                       .weights = {},
                       .trailers = {}};
  Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
  if (!checkpoint) return std::move(checkpoint).error();
  if (*checkpoint) finished.weights = *path / **checkpoint / "model.safetensors";
  if (!*checkpoint || !files.exists(finished.weights))
    return refused(fmt::format("the run {} has no weights", path->string()),
                   "its last checkpoint was removed, or it only measured others");
  finished.trailers.emplace_back("Ration-Run", finished.id);
  constexpr std::array<std::pair<const char*, const char*>, 4> kNumbers = {
      {{"final_loss", "Ration-Loss"},
       {"best_loss", "Ration-Best-Loss"},
       {"steps", "Ration-Steps"},
       {"tokens", "Ration-Tokens"}}};
  for (const auto& [member, trailer] : kNumbers)
    if (const Json value = (*result)->value(member, Json()); value.is_number())
      finished.trailers.emplace_back(trailer, text_of(value));
  return finished;
}

}  // namespace ration::git
