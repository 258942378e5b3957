#include "cli/store_option.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

#include "base/text.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string loss_text(const store::RunRow& row) {
  return store::settled(row.state) && std::isfinite(row.final_loss)
             ? fmt::format("{:.4f}", row.final_loss)
             : "-";
}

std::string progress_text(const store::RunRow& row) {
  if (row.state == store::RunState::done) return "100 %";
  if (row.tokens <= 0) return "-";
  return fmt::format("{:.0f} %", 100 * std::min(1.0, row.tokens_seen / row.tokens));
}

}  // namespace

Option store_option() {
  const char* variable = std::getenv("RATION_STORE");
  return {.name = "store",
          .value = "DIR",
          .default_value = variable != nullptr && *variable != '\0' ? variable : "ration-runs",
          .help = "Folder of database, sweeps and runs; RATION_STORE sets another default."};
}

void guard_store(const Arguments& arguments) {
  constexpr mode_t kOthers = 077;
  struct stat info {};
  const mode_t open = stat(arguments.text("store")->c_str(), &info) == 0 ? info.st_mode : 0700;
  umask(umask(kOthers) | (~open & kOthers));
}

Result<void> refuse_own_file(const store::Layout& layout, const Path& file) {
  constexpr std::array kFolders = {
      "sweeps", "runs", "fits", "evals", "slurm", "loops", "points", "studies", "fuse"};
  constexpr std::array kFiles = {"ration.db",
                                 "ration.db-wal",
                                 "ration.db-shm",
                                 "ration.db-journal",
                                 "ration.db.before-rebuild",
                                 "ration.db.rebuilt",
                                 "ration.lock",
                                 "requests.log"};
  std::error_code code;
  const Path store = std::filesystem::weakly_canonical(layout.folder, code);
  const Path target = std::filesystem::weakly_canonical(file, code);
  const Path below = target.lexically_relative(store);
  const std::string first = below.empty() ? "" : below.begin()->string();
  const auto is_first = [&](const char* name) { return first == name; };
  const bool own = std::any_of(kFiles.begin(), kFiles.end(), is_first) ||
                   std::any_of(kFolders.begin(), kFolders.end(), is_first) ||
                   std::filesystem::equivalent(file, layout.database(), code);
  if (!own) return {};
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{} is one of the store's own files", file.string()),
               .hint = "-o names another file"};
}

Result<store::Reader> open_store(const Arguments& arguments) {
  return store::Reader::open(real_files(), *arguments.text("store"));
}

Result<std::vector<store::RunRow>> named_runs(const store::Reader& store,
                                              const Arguments& arguments) {
  std::vector<store::RunRow> rows;
  std::set<std::string> seen;
  std::vector<Error> problems;
  const auto add = [&](store::RunRow row) {
    if (seen.insert(row.run).second) rows.push_back(std::move(row));
  };
  for (const std::string& name : arguments.positional) {
    Result<store::RunRow> row = store.find_run(name);
    if (row)
      add(std::move(*row));
    else
      problems.push_back(std::move(row).error());
  }
  if (const auto name = arguments.text("sweep")) {
    Result<store::SweepRow> sweep = store.find_sweep(*name);
    if (!sweep) return std::move(sweep).error();
    Result<std::vector<store::RunRow>> members = store.runs(sweep->id);
    if (!members) return std::move(members).error();
    for (store::RunRow& row : *members) add(std::move(row));
  } else if (arguments.positional.empty()) {
    return Error{.kind = ErrorKind::usage,
                 .what = "no run is named",
                 .hint = "give run ids (any unique beginning), or --sweep NAME"};
  }
  if (problems.size() == 1) return std::move(problems.front());
  if (!problems.empty()) return combine(std::move(problems), "runs that cannot be found");
  return rows;
}

std::string short_id(const std::string& run) { return run.substr(0, 12); }

Json states_json(const std::array<std::int64_t, store::kRunStates>& by_state) {
  Json states = Json::object();
  for (std::size_t i = 0; i < by_state.size(); ++i)
    if (by_state[i] > 0) states[std::string(name(static_cast<store::RunState>(i)))] = by_state[i];
  return states;
}

Json run_json(const store::RunRow& row) {
  return {{"run", row.run},
          {"state", name(row.state)},
          {"reason", row.reason},
          {"params", row.params},
          {"tokens", row.tokens},
          {"unique_tokens", row.unique_tokens},
          {"epochs", row.epochs},
          {"flops", row.flops},
          {"tokens_seen", row.tokens_seen},
          {"last_loss_nats", number_or_null(row.last_loss)},
          {"final_loss_nats", number_or_null(row.final_loss)},
          {"best_loss_nats", number_or_null(row.best_loss)},
          {"attempts", row.attempts},
          {"wall_s", row.wall_s},
          {"ordinal", row.ordinal},
          {"tags", Json::parse(row.tags.empty() ? "{}" : row.tags, nullptr, false)}};
}

std::string runs_table(const std::vector<store::RunRow>& rows, std::size_t limit) {
  std::vector<std::vector<std::string>> cells = {
      {"run", "state", "params", "tokens", "epochs", "done", "loss/nats", "tries"}};
  for (const store::RunRow& row : rows) {
    if (cells.size() > limit) break;
    cells.push_back({short_id(row.run),
                     std::string(name(row.state)),
                     format_quantity(row.params),
                     format_quantity(row.tokens, "tok"),
                     fmt::format("{:.3g}", row.epochs),
                     progress_text(row),
                     loss_text(row),
                     std::to_string(row.attempts)});
  }
  std::string text = table(cells);
  if (rows.size() > limit)
    text +=
        fmt::format("… and {} more: `ration status SWEEP --runs` lists all\n", rows.size() - limit);
  return text;
}

}  // namespace ration::cli
