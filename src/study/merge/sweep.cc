#include "study/merge/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>

namespace ration::study {
namespace {

constexpr std::size_t kLongestName = 64 - sizeof("-altered");  // names of the evaluating sweeps
constexpr std::size_t kFewPoints = 16;  // in a run of their own they cost less than its start

// As many lists as runs can work side by side.
std::size_t parts_of(const scheduler::SweepOptions& options, std::size_t points) {
  const std::size_t slots = options.slots > 0 ? static_cast<std::size_t>(options.slots)
                                              : std::max(1U, std::thread::hardware_concurrency());
  return std::clamp<std::size_t>(points / kFewPoints, 1, slots);
}

MergeEvaluate evaluator(const scheduler::Sweep& sweep,
                        const MergeModels& models,
                        const scheduler::SweepOptions& options,
                        scheduler::Outside outside) {
  return [&sweep, &models, &options, outside](const run::PointList& list, const std::string& part) {
    outside.observer.note(fmt::format("{}: {} points ({})", sweep.name, list.points.size(), part));
    return eval::evaluate_points(models.shape,
                                 models.execution,
                                 list,
                                 fmt::format("{}-{}", sweep.name, part),
                                 options,
                                 outside,
                                 {.parts = parts_of(options, list.points.size())});
  };
}

struct Prepared {
  MergeTable table;
  MergeModels models;
};

Result<Prepared> prepare(const scheduler::Sweep& sweep,
                         const scheduler::SweepOptions& options,
                         Files& files) {
  Result<MergeTable> table = read_merge_table(sweep.study->table, sweep.file);
  if (!table) return std::move(table).error();
  if (sweep.name.size() > kLongestName)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format(
                     "the name of {} is longer than {} characters", sweep.name, kLongestName),
                 .hint = "set a shorter `name`; the runs that evaluate are called after it"};
  Result<MergeModels> models = merge_models(*table, sweep, files, options.store, options.expand);
  if (!models) return std::move(models).error();
  const auto corpora = static_cast<std::int64_t>(models->corpora.size());
  if (!table->sizes.empty() && table->sizes.back() > corpora)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{}: [merge] sizes go to {}, but there are {} corpora",
                                     sweep.file,
                                     table->sizes.back(),
                                     corpora),
                 .hint = "a size counts the models that are merged, one of each corpus"};
  const bool fisher = std::any_of(table->methods.begin(), table->methods.end(), [](auto& method) {
    return method.is_fisher();
  });
  if (fisher && !models->files.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{}: [merge] fisher needs runs of this store", sweep.file),
                 .hint =
                     "its statistics are measured on a run's checkpoint; leave the method out, "
                     "or merge the files with `ration merge --statistics`"};
  return Prepared{.table = std::move(*table), .models = std::move(*models)};
}

// Where the weights of all models lie that are merged.
Result<std::map<std::string, Path>> paths_of(const MergeModels& models,
                                             Files& files,
                                             const Path& store) {
  std::set<std::string> names(models.base.begin(), models.base.end());
  for (const std::vector<std::string>& own : models.own) names.insert(own.begin(), own.end());
  std::map<std::string, Path> paths;
  for (const std::string& name : names) {
    Result<Path> path = checkpoint_path(files, store, models, name);
    if (!path) return std::move(path).error();
    paths[name] = std::move(*path);
  }
  return paths;
}

}  // namespace

Result<void> check_merge_sweep(const scheduler::Sweep& sweep,
                               const scheduler::SweepOptions& options,
                               Files& files) {
  Result<Prepared> prepared = prepare(sweep, options, files);
  if (!prepared) return std::move(prepared).error();
  return {};
}

Result<MergeReport> study_merges(const scheduler::Sweep& sweep,
                                 const scheduler::SweepOptions& options,
                                 scheduler::Outside outside,
                                 const MeasureFisher& measure_fisher) {
  Result<Prepared> prepared = prepare(sweep, options, outside.files);
  if (!prepared) return std::move(prepared).error();
  MergeReport report{.name = sweep.name,
                     .table = std::move(prepared->table),
                     .models = std::move(prepared->models),
                     .outcome = {},
                     .summaries = {},
                     .claims = {},
                     .mechanism = std::nullopt};
  const MergeEvaluate evaluate = evaluator(sweep, report.models, options, outside);
  const Path models_folder = study_folder(options.store, report.name) / "models";
  const MergeToFile merge_to_file =
      merge_by_fisher(report.models, outside.files, options.store, models_folder, measure_fisher);
  Result<MergeOutcome> outcome =
      carry_out_merges(report.table, report.models, evaluate, merge_to_file);
  if (!outcome) return std::move(outcome).error();
  report.outcome = std::move(*outcome);
  if (report.table.mechanism) {
    Result<std::map<std::string, Path>> paths =
        paths_of(report.models, outside.files, options.store);
    if (!paths) return std::move(paths).error();
    Result<MergeMechanism> mechanism = examine_merges(
        report.models, report.outcome, *paths, outside.files, models_folder, evaluate);
    if (!mechanism) return std::move(mechanism).error();
    report.mechanism = std::move(*mechanism);
  }
  report.summaries = merge_summaries(report.table, report.outcome);
  report.claims = merge_claims(report.table, report.outcome);
  return report;
}

Result<Path> write_merge_report(Files& files,
                                const Path& store,
                                const MergeReport& report,
                                std::string_view script) {
  Path folder = study_folder(store, report.name);
  if (Result<void> done = write_tables(files, folder, merge_tables(report)); !done)
    return std::move(done).error();
  if (Result<void> done =
          files.write_whole(folder / "page.html", report::to_html(merge_page(report), script));
      !done)
    return std::move(done).error();
  return folder;
}

}  // namespace ration::study
