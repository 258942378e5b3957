#include "study/training.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <map>

#include "eval/unfinished.h"
#include "run/folder.h"
#include "store/store.h"

namespace ration::study {
namespace {

constexpr std::array<std::string_view, 8> kKept = {"device",
                                                   "threads",
                                                   "micro_batch_sequences",
                                                   "products",
                                                   "deterministic",
                                                   "gpu",
                                                   "gpu_mem",
                                                   "evals_per_decade"};

}  // namespace

void keep_execution(const run::Execution& execution, Json& settings) {
  const Json all = run::to_json(execution);
  for (const std::string_view name : kKept)
    if (const auto found = all.find(name); found != all.end()) settings[std::string(name)] = *found;
}

Result<std::vector<TrainedRun>> train_sweep(const Json& json,
                                            const Path& folder,
                                            const scheduler::SweepOptions& options,
                                            scheduler::Outside outside) {
  const std::string text = json.dump(1) + "\n";
  const Path file = folder / (json.at("name").get<std::string>() + ".json");
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, file.string());
  if (!sweep) return std::move(sweep).error();
  Result<scheduler::Expansion> plan = scheduler::expand(*sweep, outside.files);
  if (!plan) return std::move(plan).error();
  if (Result<void> done = outside.files.write_whole(file, text); !done)
    return std::move(done).error();
  scheduler::SweepOptions these = options;
  these.expand = {};
  these.runs.reset();
  Result<scheduler::RunSummary> summary = scheduler::run_sweep(*sweep, these, outside);
  if (!summary) return std::move(summary).error();
  if (std::optional<Error> why =
          eval::why_unfinished(*summary, {.what = "trained", .may_diverge = true}))
    return std::move(*why);
  std::map<std::string, double> losses;
  for (const store::RunRow& row : summary->rows)
    losses[row.run] = row.state == store::RunState::done ? row.final_loss
                                                         : std::numeric_limits<double>::quiet_NaN();
  std::vector<TrainedRun> runs;
  for (const scheduler::PlannedRun& run : plan->runs)
    runs.push_back({.block = run.block,
                    .run = run.id,
                    .init = run.spec.init,
                    .seed = run.spec.seed,
                    .tokens = run.spec.tokens,
                    .loss = losses.at(run.id),
                    .flops = run.facts.flops});
  return runs;
}

Result<Path> weights_of_run(Files& files, const Path& store, const std::string& run) {
  const run::RunFolder folder(files, store::Layout{.folder = store}.run(run));
  Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
  if (!checkpoint) return std::move(checkpoint).error();
  if (!*checkpoint)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("run {} has no checkpoint", run.substr(0, 12)),
                 .hint = "`ration explain` of the run says why"};
  return folder.path() / **checkpoint / "model.safetensors";
}

}  // namespace ration::study
