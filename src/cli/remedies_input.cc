#include "cli/remedies_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/sweep.h"
#include "store/store.h"

namespace ration::cli {
namespace {

// Studies of the store that measured remedies.
std::vector<std::string> measured_studies(const Path& store) {
  std::vector<std::string> found;
  Result<std::vector<std::string>> folders = real_files().list(store / "studies");
  if (!folders) return found;
  for (const std::string& name : *folders)
    if (real_files().exists(study::measures_path(store, name))) found.push_back(name);
  std::sort(found.begin(), found.end());
  return found;
}

Result<Path> measures_file(const Path& store, const std::string& name) {
  if (!name.empty()) {
    const Path path = name;
    if (path.extension() == ".json") return path;
    if (path.extension() != ".toml") return study::measures_path(store, name);
    Result<std::string> text = real_files().read(path);
    if (!text) return std::move(text).error();
    Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, name);
    if (!sweep) return std::move(sweep).error();
    return study::measures_path(store, sweep->name);
  }
  const std::vector<std::string> found = measured_studies(store);
  if (found.size() == 1) return study::measures_path(store, found.front());
  if (found.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no measured remedies", store.string()),
                 .hint =
                     "`ration run` of a sweep with [remedies] measures them, for example "
                     "sweeps/remedies.toml"};
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{} holds several studies of remedies", store.string()),
               .hint = fmt::format("name one: {}", fmt::join(found, ", "))};
}

// U_0 that a run is compared at: its own where the baseline has it, else the largest of its size.
double unique_of_baseline(const study::RemedyMeasures& measured, const study::RemedyMeasure& run) {
  double largest = 0;
  for (const study::RemedyMeasure& other : measured.runs) {
    if (other.arm != measured.baseline || other.size != run.size) continue;
    if (other.unique == run.unique) return run.unique;
    largest = std::max(largest, other.unique);
  }
  return largest > 0 ? largest : run.unique;
}

}  // namespace

Result<study::RemedyMeasures> read_measures(const Path& store, const std::string& name) {
  Result<Path> file = measures_file(store, name);
  if (!file) return std::move(file).error();
  if (!real_files().exists(*file))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is not there", file->string()),
                 .hint = "`ration run` of the sweep with [remedies] writes it"};
  Result<std::string> text = real_files().read(*file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file->string());
  if (!json) return std::move(json).error();
  return study::measures_from_json(*json, file->string());
}

std::vector<fit::Observation> law_observations(const study::RemedyMeasures& measured) {
  std::vector<fit::Observation> rows;
  for (const study::RemedyMeasure& run : measured.law)
    rows.push_back({.params = Params(run.params),
                    .tokens = Tokens(run.tokens),
                    .unique = Tokens(std::min(run.unique, run.tokens)),
                    .loss = Loss(run.loss)});
  return rows;
}

std::vector<plan::RemedyRun> remedy_runs(const study::RemedyMeasures& measured) {
  std::vector<plan::RemedyRun> runs;
  for (const study::RemedyMeasure& run : measured.runs) {
    const double unique = unique_of_baseline(measured, run);
    plan::RemedyRun taken{.arm = run.arm,
                          .size = run.size,
                          .seed = run.replica,
                          .params = Params(run.params),
                          .tokens = Tokens(run.tokens),
                          .unique = Tokens(unique),
                          .loss = Loss(run.loss),
                          .task = run.task,
                          .flops = Flops(run.flops),
                          .donors = Flops(run.donors)};
    if (run.added > 0) taken.added = Tokens(run.added);
    if (run.arm != measured.baseline) taken.kept = run.unique / unique;
    runs.push_back(std::move(taken));
  }
  return runs;
}

std::vector<plan::Arm> remedy_arms(const study::RemedyMeasures& measured) {
  std::vector<plan::Arm> arms;
  for (const study::MeasuredArm& arm : measured.arms)
    arms.push_back({.name = arm.name,
                    .kind = *plan::remedy_kind(arm.kind),
                    .family = arm.group,
                    .parts = arm.parts});
  return arms;
}

}  // namespace ration::cli
