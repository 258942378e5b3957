#include "fuse/first_base.h"

#include <fmt/format.h>

#include "eval/points.h"
#include "run/folder.h"
#include "run/weights.h"
#include "scheduler/slurm/config.h"
#include "store/store.h"

namespace ration::fuse {
namespace {

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Settings that say which function the weights are.
Json model_settings(const run::RunSpec& spec) {
  Json settings = eval::evaluation_settings(spec);
  settings.erase("seed");
  return settings;
}

Result<void> begin_with_run(
    const Path& store, const std::string& id, std::int64_t step, Files& files, Setup& setup) {
  const run::RunFolder folder(files, store::Layout{store}.run(id));
  Result<run::RunFile> file = folder.read_spec();
  if (!file) return std::move(file).error();
  setup.model = model_settings(file->spec);
  setup.data = file->execution.data;
  if (step == 0) {
    Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
    if (!checkpoint) return std::move(checkpoint).error();
    if (*checkpoint) setup.base = folder.path() / **checkpoint / "model.safetensors";
  } else {
    Result<std::vector<int>> attempts = folder.attempts();
    if (!attempts) return std::move(attempts).error();
    for (const int attempt : *attempts)
      if (const Path path = folder.attempt_path(attempt) / fmt::format("checkpoint-{}", step) /
                            "model.safetensors";
          files.exists(path))
        setup.base = path;
  }
  if (!setup.base.empty()) return {};
  return usage(fmt::format("run {} has no checkpoint to begin with", id.substr(0, 12)),
               "the base of a fusion must be trained before");
}

Result<void> begin_with_block(const Path& store,
                              const std::string& block,
                              const scheduler::Sweep& sweep,
                              const scheduler::ExpandOptions& options,
                              std::int64_t replica,
                              Files& files,
                              Setup& setup) {
  if (!sweep.has_runs)
    return usage(fmt::format("[fuse] base = \"block:{}\", but {} has no runs", block, sweep.file),
                 "add a [[block]] of that name, or base = \"run:ID\" or \"file:PATH\"");
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, files, options);
  if (!expansion) return std::move(expansion).error();
  std::vector<const scheduler::PlannedRun*> found;
  for (const scheduler::PlannedRun& run : expansion->runs)
    if (run.block == block && run.replica == replica) found.push_back(&run);
  if (found.size() != 1)
    return usage(fmt::format("[fuse] base = \"block:{}\" names {} of replica {} of {}",
                             block,
                             found.empty() ? "no run" : "several runs",
                             replica,
                             sweep.file),
                 "the base is one run of a [[block]] with that name");
  return begin_with_run(store, found.front()->id, 0, files, setup);
}

}  // namespace

Result<void> find_base(const std::string& base,
                       const scheduler::Sweep& sweep,
                       const scheduler::ExpandOptions& options,
                       std::int64_t replica,
                       Files& files,
                       Setup& setup) {
  if (base.starts_with("block:")) {
    return begin_with_block(setup.store, base.substr(6), sweep, options, replica, files, setup);
  }
  if (base.starts_with("run:")) {
    Result<run::Weights> weights = run::parse_weights(base);
    if (!weights) return std::move(weights).error();
    return begin_with_run(setup.store, weights->run, weights->step, files, setup);
  }
  if (base.starts_with("file:")) {
    setup.base = setup.folder / base.substr(5);
    if (files.exists(setup.base / "model.safetensors")) setup.base /= "model.safetensors";
    if (files.exists(setup.base)) return {};
    return usage(fmt::format("there is no {}", setup.base.string()),
                 "[fuse] base = \"file:PATH\" names a safetensors file");
  }
  return usage(fmt::format("[fuse] base = \"{}\" names no weights", base),
               "base = \"block:NAME\", \"run:ID\" or \"file:PATH\"");
}

Result<void> expect_block(const std::string& block,
                          const scheduler::Sweep& sweep,
                          const scheduler::ExpandOptions& options,
                          Files& files,
                          Setup& setup) {
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, files, options);
  if (!expansion) return std::move(expansion).error();
  for (const scheduler::PlannedRun& run : expansion->runs) {
    if (run.block != block) continue;
    setup.model = model_settings(run.spec);
    setup.data = run.execution.data;
    return {};
  }
  return usage(fmt::format("[fuse] base = \"block:{}\" names no block of {}", block, sweep.file),
               "add a [[block]] with that name");
}

}  // namespace ration::fuse
