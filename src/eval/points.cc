#include "eval/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "eval/unfinished.h"
#include "run/architecture.h"
#include "run/experts.h"
#include "run/folder.h"

namespace ration::eval {
namespace {

using scheduler::PlannedRun;
using scheduler::RunSummary;

// What a model's function depends on.
constexpr std::array<std::string_view, 14> kModelSettings = {"family",
                                                             "layers",
                                                             "width",
                                                             "heads",
                                                             "mlp",
                                                             "mlp_width",
                                                             "context",
                                                             "tied",
                                                             "bias",
                                                             "qk_norm",
                                                             "norm_eps",
                                                             "rope_base",
                                                             "precision",
                                                             "parametrisation"};
// The same of experts, where there are any.
// How it is computed; what names files is the sweep's business.
constexpr std::array<std::string_view, 9> kComputed = {"device",
                                                       "threads",
                                                       "micro_batch_sequences",
                                                       "processes",
                                                       "process_timeout_minutes",
                                                       "products",
                                                       "deterministic",
                                                       "gpu",
                                                       "gpu_mem"};

Json json_of(const run::Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

// Writes the list of a part, once; its path.
Result<Path> write_list(Files& files, const Path& folder, const run::PointList& list) {
  const std::string text = run::points_text(list);
  const Path file = folder / (sha256_hex(text) + ".json");
  if (Result<bool> written = files.write_exclusively(file, text); !written)
    return std::move(written).error();
  return file;
}

struct Part {
  run::PointList list;
  Path file;
  std::string run = {};  // run-id
};

Json sweep_of(const run::RunSpec& shape,
              const run::Execution& execution,
              const std::string& name,
              const std::vector<Part>& parts) {
  Json fixed = evaluation_settings(shape);
  const Json how = run::to_json(execution);
  for (const std::string_view setting : kComputed)
    if (const auto value = how.find(setting); value != how.end())
      fixed[std::string(setting)] = *value;
  Json rows = Json::array();
  for (const Part& part : parts) rows.push_back({{"points", "file:" + part.file.string()}});
  return {{"name", name},
          {"data", std::filesystem::absolute(execution.data).string()},
          {"vary_subset", false},
          {"fixed", std::move(fixed)},
          {"list", std::move(rows)}};
}

// Each part's run, by the list that it reads.
Result<void> name_runs(const scheduler::Sweep& sweep,
                       const run::RunSpec& shape,
                       const scheduler::ExpandOptions& options,
                       Files& files,
                       std::vector<Part>& parts) {
  Result<scheduler::Expansion> plan = scheduler::expand(sweep, files, options);
  if (!plan) return std::move(plan).error();
  for (const PlannedRun& run : plan->runs) {
    if (run.spec.vocab != shape.vocab)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{} has a vocabulary of {} tokens, the models have {}",
                                       run.execution.data,
                                       run.spec.vocab,
                                       shape.vocab),
                   .hint = "name data that was prepared with the models' tokenizer"};
    for (Part& part : parts)
      if (part.file == Path(run.execution.points_file)) part.run = run.id;
  }
  return {};
}

Result<std::vector<PointLoss>> losses_of(Files& files, const Path& store, const Part& part) {
  const run::RunFolder folder(files, store::Layout{store}.run(part.run));
  Result<std::optional<Json>> result = folder.result();
  if (!result) return std::move(result).error();
  const Json points =
      *result && (*result)->is_object() ? (*result)->value("points", Json()) : Json();
  if (!points.is_string())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} names no points", folder.result_path().string()),
                 .hint = "a run with `points` names its points.jsonl there"};
  const Path file = folder.path() / points.get<std::string>();
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  return parse_losses(*text, file.string(), part.list);
}

}  // namespace

Json evaluation_settings(const run::RunSpec& shape) {
  Json settings = {{"seed", 0}};
  for (const std::string_view name : kModelSettings)
    settings[std::string(name)] = json_of(run::get(shape, name));
  if (run::has_experts(shape))
    for (const std::string_view name : run::expert_settings())
      settings[std::string(name)] = json_of(run::get(shape, name));
  return settings;
}

std::vector<run::PointList> split(const run::PointList& list, std::size_t parts) {
  parts = std::clamp<std::size_t>(parts, 1, std::max<std::size_t>(1, list.points.size()));
  std::vector<run::PointList> lists(parts, list);
  for (std::size_t i = 0; i < parts; ++i) {
    const auto begin = static_cast<std::ptrdiff_t>(list.points.size() * i / parts);
    const auto end = static_cast<std::ptrdiff_t>(list.points.size() * (i + 1) / parts);
    lists[i].points.assign(list.points.begin() + begin, list.points.begin() + end);
  }
  return lists;
}

Result<std::vector<PointLoss>> evaluate_points(const run::RunSpec& shape,
                                               const run::Execution& execution,
                                               const run::PointList& list,
                                               const std::string& name,
                                               const scheduler::SweepOptions& options,
                                               scheduler::Outside outside,
                                               const EvaluateOptions& how) {
  const Path folder = std::filesystem::absolute(options.store).lexically_normal() / "points";
  if (Result<void> made = outside.files.make_folders(folder); !made) return std::move(made).error();
  std::vector<Part> parts;
  for (run::PointList& each : split(list, how.parts)) {
    Result<Path> file = write_list(outside.files, folder, each);
    if (!file) return std::move(file).error();
    parts.push_back({.list = std::move(each), .file = std::move(*file)});
  }
  const std::string text = sweep_of(shape, execution, name, parts).dump(1) + "\n";
  const Path file = folder / (name + ".json");
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, file.string());
  if (!sweep) return std::move(sweep).error();
  scheduler::SweepOptions these = options;
  these.expand = {};
  these.runs.reset();
  if (Result<void> done = name_runs(*sweep, shape, these.expand, outside.files, parts); !done)
    return std::move(done).error();
  if (Result<void> done = outside.files.write_whole(file, text); !done)
    return std::move(done).error();
  Result<RunSummary> summary = scheduler::run_sweep(*sweep, these, outside);
  if (!summary) return std::move(summary).error();
  if (std::optional<Error> trouble = why_unfinished(*summary, {.what = "evaluated"}))
    return std::move(*trouble);
  std::vector<PointLoss> losses;
  for (const Part& part : parts) {
    Result<std::vector<PointLoss>> found = losses_of(outside.files, options.store, part);
    if (!found) return std::move(found).error();
    std::move(found->begin(), found->end(), std::back_inserter(losses));
  }
  return losses;
}

}  // namespace ration::eval
