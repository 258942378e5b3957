#include "fuse/probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "data/manifest.h"
#include "data/shards.h"
#include "eval/points.h"
#include "fuse/driver.h"
#include "fuse/folder.h"

namespace ration::fuse {
namespace {

constexpr const char* kKey = "[fuse] probe";  // what a person wrote

// A worker outlives a killed scheduler, and reads its models when it comes to it: those that are
// made anew under one name get one by their digest.
Result<Path> lasting(const Path& model, const Path& work, Files& files) {
  if (model.lexically_relative(work).native().starts_with("..")) return model;
  const Path folder = work / "evaluated";
  Result<std::string> sha256 = keep_copy(files, model, folder);
  if (!sha256) return std::move(sha256).error();
  return folder / (*sha256 + ".safetensors");
}

}  // namespace

Result<std::vector<run::PointCorpus>> probe_corpora(const Config& config,
                                                    const Setup& setup,
                                                    const run::RunSpec& shape,
                                                    Files& files) {
  std::vector<run::PointCorpus> corpora;
  const std::int64_t context = shape.context;
  for (std::size_t i = 0; i < config.probe.size(); ++i) {
    const std::string data = path_of(setup, config.probe[i]);
    Result<data::Manifest> manifest = data::read_manifest(files, data);
    if (!manifest) return std::move(manifest).error().with_context(kKey);
    if (manifest->vocab != shape.vocab)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("[fuse] probe: {} has a vocabulary of {} tokens, the models {}",
                              data,
                              manifest->vocab,
                              shape.vocab),
          .hint = "prepare it with the tokenizer of the contributors' data"};
    const std::int64_t there = data::usable_tokens(manifest->val.tokens, context) / context;
    if (there < 2)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("[fuse] probe: {} holds {} of {} tokens that are held out",
                                       data,
                                       counted(static_cast<std::size_t>(there), "window"),
                                       context),
                   .hint = "hold out more text: two windows at least, 64 are better"};
    corpora.push_back({.name = fmt::format("probe-{}", i + 1),
                       .data = data,
                       .digest = manifest->digest,
                       .windows = std::min(config.probe_windows, there)});
  }
  return corpora;
}

Result<scheduler::PlannedRun> probe_shape(const Config& config, const Setup& setup, Files& files) {
  const std::string data = path_of(setup, config.probe.front());
  if (Result<data::Manifest> there = data::read_manifest(files, data); !there)
    return std::move(there).error().with_context(kKey);
  Contributor nobody;
  nobody.data = config.probe.front();
  nobody.settings = {{"tokens", 1'000'000}};
  Task task;
  task.contributor = &nobody;
  if (!setup.base.empty())
    task.base_file = std::filesystem::absolute(setup.base).lexically_normal();
  Result<std::vector<scheduler::PlannedRun>> runs = expand_tasks(config, setup, {task}, files);
  if (!runs) return std::move(runs).error().with_context(kKey);
  return runs->front();
}

Result<std::vector<std::vector<double>>> evaluate_probes(const Config& config,
                                                         const Setup& setup,
                                                         const scheduler::PlannedRun& shape,
                                                         scheduler::Outside outside,
                                                         const std::vector<Path>& models) {
  run::PointList list;
  list.sequences = true;
  Result<std::vector<run::PointCorpus>> corpora =
      probe_corpora(config, setup, shape.spec, outside.files);
  if (!corpora) return std::move(corpora).error();
  list.corpora = std::move(*corpora);
  std::string digests;
  const Path work = work_folder(
      std::filesystem::absolute(fusion_folder(setup.store, setup.name)).lexically_normal());
  for (std::size_t i = 0; i < models.size(); ++i) {
    const std::string name = fmt::format("m{}", i);
    Result<Path> model = lasting(models[i], work, outside.files);
    if (!model) return std::move(model).error();
    Result<std::string> sha256 = sha256_of(outside.files, *model);
    if (!sha256) return std::move(sha256).error();
    digests += *sha256;
    list.models[name] = {.run = {}, .step = 0, .sha256 = *sha256};
    list.files[name] = model->string();
    list.points.push_back(
        {.name = name, .recipe = {{"method", "average"}, {"models", {name}}}, .corpora = {}});
  }
  scheduler::SweepOptions options = setup.options;
  options.store = setup.store;
  run::Execution execution = shape.execution;
  execution.data = list.corpora.front().data;
  const std::string name =
      sweep_name(setup.name, fmt::format("p{}", sha256_hex(digests).substr(0, 12)));
  Result<std::vector<eval::PointLoss>> losses =
      eval::evaluate_points(shape.spec, execution, list, name, options, outside);
  if (!losses) return std::move(losses).error();
  std::vector<std::vector<double>> windows(models.size());
  for (std::size_t i = 0; i < losses->size(); ++i) {
    const std::vector<double>& sequences = (*losses)[i].sequences;
    std::vector<double>& all = windows[i / list.corpora.size()];
    all.insert(all.end(), sequences.begin(), sequences.end());
  }
  return windows;
}

}  // namespace ration::fuse
