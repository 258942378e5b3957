#include "fuse/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/text.h"
#include "data/manifest.h"
#include "data/shards.h"
#include "eval/points.h"
#include "fuse/folder.h"
#include "run/folder.h"
#include "run/points.h"
#include "store/store.h"

namespace ration::fuse {
namespace {

using scheduler::PlannedRun;
using scheduler::RunSummary;
using store::RunState;

std::string path_of(const Setup& setup, const std::string& path) {
  return std::filesystem::absolute(setup.folder / path).lexically_normal().string();
}

Error interrupted(const std::string& name) {
  return {.kind = ErrorKind::interrupted,
          .what = fmt::format("{} is not at its end", name),
          .hint = "the same command continues"};
}

// What a finished run left.
Result<Trained> trained_by(Files& files, const Path& store, const PlannedRun& run) {
  const run::RunFolder folder(files, store::Layout{store}.run(run.id));
  Result<std::optional<Json>> result = folder.result();
  if (!result) return std::move(result).error();
  Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
  if (!checkpoint) return std::move(checkpoint).error();
  Trained trained{.run = run.id, .loss = std::numeric_limits<double>::quiet_NaN()};
  if (!*checkpoint || (*checkpoint)->empty()) {
    trained.reason = "its run has no checkpoint";
    return trained;
  }
  trained.model = folder.path() / **checkpoint / "model.safetensors";
  trained.tokens = (*result)->value("tokens", run.spec.tokens);
  trained.loss = (*result)->value("final_loss", trained.loss);
  return trained;
}

// The sweep of one call, while it is carried out.
class Training {
 public:
  Training(const Config& config, const Setup& setup, scheduler::Outside outside)
      : config_(config), setup_(setup), outside_(outside) {}

  Result<std::vector<Trained>> run(const std::vector<Task>& tasks,
                                   std::optional<double> until,
                                   std::int64_t& started) {
    const std::string name = sweep_name(setup_.name, fmt::format("r{}", tasks.back().round));
    const std::string text = sweep_text(config_, setup_, tasks, name);
    const Path file =
        std::filesystem::absolute(fusion_folder(setup_.store, setup_.name)) / (name + ".json");
    Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, file.string());
    if (!sweep) return std::move(sweep).error();
    Result<std::vector<PlannedRun>> runs = plan(config_, setup_, tasks, outside_.files);
    if (!runs) return std::move(runs).error();
    scheduler::SweepOptions options = setup_.options;
    options.store = setup_.store;
    options.expand = {};
    options.runs.reset();
    options.policy.keep_going = true;  // who fails is absent
    options.policy.max_failures = 0;
    options.policy.retries_bug = options.policy.retries_killed =
        static_cast<int>(config_.max_retries);
    if (until) options.engine.stop_at = *until;
    Result<RunSummary> summary = scheduler::run_sweep(*sweep, options, outside_);
    if (!summary) return std::move(summary).error();
    started += summary->launched;
    const bool late = until && outside_.clock.unix_seconds() >= *until;
    if (summary->detached) return interrupted(name);
    if (summary->cause == scheduler::StopCause::disk)
      return Error{.kind = ErrorKind::resource,
                   .what = fmt::format("the disk is full: {} is not at its end", name),
                   .hint = "make room; the same command continues"};
    if (summary->cause != scheduler::StopCause::none && !late) return interrupted(name);
    std::vector<Trained> trained;
    for (const PlannedRun& run : *runs) {
      Result<Trained> one = outcome(*summary, run, late);
      if (!one) return std::move(one).error();
      trained.push_back(std::move(*one));
    }
    return trained;
  }

 private:
  Result<Trained> outcome(const RunSummary& summary, const PlannedRun& run, bool late) {
    const auto row = std::find_if(summary.rows.begin(),
                                  summary.rows.end(),
                                  [&](const store::RunRow& each) { return each.run == run.id; });
    if (row == summary.rows.end())
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("run {} is not of sweep {}", run.id, summary.sweep.name)};
    if (row->state == RunState::done) return trained_by(outside_.files, setup_.store, run);
    Trained absent{.run = run.id, .loss = std::numeric_limits<double>::quiet_NaN()};
    const bool open = row->state == RunState::ready || row->state == RunState::active;
    absent.pending = late && open;
    absent.reason = fmt::format("run {} is {}{}{}",
                                run.id.substr(0, 12),
                                store::name(row->state),
                                row->reason.empty() ? "" : ": ",
                                row->reason);
    return absent;
  }

  const Config& config_;
  const Setup& setup_;
  scheduler::Outside outside_;
};

Result<std::vector<PlannedRun>> expand_tasks(const Config& config,
                                             const Setup& setup,
                                             const std::vector<Task>& tasks,
                                             Files& files) {
  const std::string text = sweep_text(config, setup, tasks, "contributors");
  Result<scheduler::Sweep> sweep =
      scheduler::read_sweep(text, (setup.folder / "contributors.json").string());
  if (!sweep) return std::move(sweep).error();
  Result<scheduler::Expansion> expansion = scheduler::expand(*sweep, files);
  if (!expansion) return std::move(expansion).error();
  return std::move(expansion->runs);
}

// A worker outlives a killed scheduler, and reads its models when it comes to it: those that are
// made anew under one name get one by their digest.
Result<Path> lasting(const Path& model, const Path& work, Files& files) {
  if (model.lexically_relative(work).native().starts_with("..")) return model;
  const Path folder = work / "evaluated";
  Result<std::string> sha256 = keep_copy(files, model, folder);
  if (!sha256) return std::move(sha256).error();
  return folder / (*sha256 + ".safetensors");
}

Result<std::vector<std::vector<double>>> evaluate(const Config& config,
                                                  const Setup& setup,
                                                  const PlannedRun& shape,
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
    if (!manifest) return std::move(manifest).error();
    if (manifest->vocab != shape.vocab)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("probe {} has a vocabulary of {} tokens, the models {}",
                                       data,
                                       manifest->vocab,
                                       shape.vocab),
                   .hint = "prepare it with the tokenizer of the contributors' data"};
    const std::int64_t there = data::usable_tokens(manifest->val.tokens, context) / context;
    if (there < 2)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("probe {} holds {} of {} tokens that are held out",
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

std::string sweep_name(const std::string& fusion, const std::string& ending) {
  constexpr std::size_t kLongest = 40;  // leaves room for the ending
  std::string name = fusion;
  std::replace(name.begin(), name.end(), '/', '.');
  if (name.size() > kLongest)
    name = name.substr(0, kLongest - 13) + "-" + sha256_hex(fusion).substr(0, 12);
  return fmt::format("{}.{}", name, ending);
}

std::string sweep_text(const Config& config,
                       const Setup& setup,
                       const std::vector<Task>& tasks,
                       const std::string& name) {
  Json fixed = setup.model.is_object() ? setup.model : Json::object();
  fixed.update(config.fixed);
  Json blocks = Json::array();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    Json settings = fixed;
    settings["seed"] = task.seed;
    settings.update(task.contributor->settings);
    if (!task.base_file.empty()) settings["init"] = "file:" + task.base_file.string();
    const std::string& data = task.contributor->data;
    blocks.push_back({{"name", fmt::format("c{}", i)},
                      {"data", data.empty() ? setup.data : path_of(setup, data)},
                      {"fixed", std::move(settings)}});
  }
  return Json{{"name", name}, {"vary_subset", false}, {"block", std::move(blocks)}}.dump(1) + "\n";
}

Result<std::vector<scheduler::PlannedRun>> plan(const Config& config,
                                                const Setup& setup,
                                                const std::vector<Task>& tasks,
                                                Files& files) {
  std::vector<PlannedRun> runs;
  if (tasks.empty()) return runs;
  // All at once: a base is read once. Two contributors that are the same run are one in it.
  if (Result<std::vector<PlannedRun>> all = expand_tasks(config, setup, tasks, files);
      all && all->size() == tasks.size()) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      for (PlannedRun& run : *all)
        if (run.block == fmt::format("c{}", i)) runs.push_back(std::move(run));
    return runs;
  }
  std::vector<Error> problems;
  for (const Task& task : tasks) {
    Result<std::vector<PlannedRun>> one = expand_tasks(config, setup, {task}, files);
    if (one)
      runs.push_back(std::move(one->front()));
    else
      problems.push_back(
          std::move(one).error().with_context(fmt::format("contributor {}", task.contributor->id)));
  }
  if (!problems.empty()) return combine(std::move(problems), "contributors cannot be trained");
  return runs;
}

Hands scheduled(const Config& config,
                const Setup& setup,
                const scheduler::PlannedRun& shape,
                scheduler::Outside outside,
                std::int64_t& trained) {
  Hands hands;
  hands.train = [&config, &setup, outside, &trained](const std::vector<Task>& tasks,
                                                     std::optional<double> until) {
    return Training(config, setup, outside).run(tasks, until, trained);
  };
  hands.evaluate = [&config, &setup, &shape, outside](const std::vector<Path>& models) {
    return evaluate(config, setup, shape, outside, models);
  };
  hands.interrupted = [outside] {
    return outside.signals != nullptr && outside.signals->take() > 0;
  };
  hands.note = [outside](const std::string& text) { outside.observer.note(text); };
  return hands;
}

}  // namespace ration::fuse
