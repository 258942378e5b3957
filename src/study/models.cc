#include "study/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/manifest.h"
#include "data/shards.h"

namespace ration::study {
namespace {

// "prose" of /data/prose and of /data/prose/.
std::string last_part(const Path& path) {
  const Path plain = path.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

Result<Model> model_of(const scheduler::PlannedRun& run) {
  Model model{.run = run.id,
              .block = run.block,
              .corpus = last_part(run.execution.data),
              .data = run.execution.data,
              .replica = run.replica,
              .start = std::nullopt,
              .spec = run.spec,
              .execution = run.execution};
  if (run.spec.init.empty()) return model;
  Result<run::Weights> start = run::parse_weights(run.spec.init);
  if (!start) return std::move(start).error();
  model.start = std::move(*start);
  return model;
}

}  // namespace

Result<std::vector<Model>> models_of(const scheduler::Sweep& sweep,
                                     Files& files,
                                     const scheduler::ExpandOptions& options) {
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, files, options);
  if (!expansion) return std::move(expansion).error();
  std::vector<scheduler::PlannedRun>& runs = expansion->runs;
  std::sort(
      runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  std::vector<Model> models;
  for (const scheduler::PlannedRun& run : runs) {
    if (!run.spec.points.empty()) continue;
    Result<Model> model = model_of(run);
    if (!model) return std::move(model).error();
    models.push_back(std::move(*model));
  }
  return models;
}

Result<HeldOut> held_out(Files& files,
                         const Path& data,
                         const std::string& corpus,
                         std::int64_t context,
                         std::int64_t windows) {
  const Result<data::Manifest> manifest = data::read_manifest(files, data);
  if (!manifest) return manifest.error();
  const std::int64_t there = data::usable_tokens(manifest->val.tokens, context) / context;
  if (there < 2)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds {} held-out windows of {} tokens, and a study needs "
                                     "one to choose on and one to report",
                                     data.string(),
                                     there,
                                     context),
                 .hint = "prepare it with a larger --held-out, or shorten the context"};
  const std::int64_t half = windows > 0 ? std::min(windows, there / 2) : there / 2;
  run::PointCorpus whole{.name = corpus,
                         .data = std::filesystem::absolute(data).string(),
                         .digest = manifest->digest,
                         .first_window = 0,
                         .windows = 2 * half};
  HeldOut held{.choose = whole, .report = whole, .all = whole};
  held.choose.windows = half;
  held.report.first_window = half;
  held.report.windows = half;
  return held;
}

}  // namespace ration::study
