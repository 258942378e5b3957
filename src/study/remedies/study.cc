#include "study/remedies/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/hash.h"
#include "data/manifest.h"
#include "data/shards.h"
#include "eval/points.h"
#include "run/count.h"
#include "run/folder.h"
#include "run/mixture.h"
#include "store/store.h"
#include "study/output.h"
#include "study/remedies/chain.h"
#include "study/remedies/merged.h"
#include "study/remedies/prepared.h"

namespace ration::study {
namespace {

using scheduler::PlannedRun;

class Study {
 public:
  Study(const scheduler::Sweep& sweep,
        const scheduler::SweepOptions& options,
        scheduler::Outside outside,
        const ScoreTask& score,
        PreparedRemedies prepared)
      : sweep_(sweep),
        options_(options),
        outside_(outside),
        score_(score),
        table_(std::move(prepared.table)),
        plan_(std::move(prepared.plan)),
        blocks_(blocks_of(plan_)),
        folder_(
            std::filesystem::absolute(study_folder(options.store, sweep.name)).lexically_normal()) {
  }

  Result<RemedyMeasures> measure() {
    if (Result<void> made = outside_.files.make_folders(folder_); !made)
      return std::move(made).error();
    if (Result<void> read = read_losses(); !read) return std::move(read).error();
    found_.name = sweep_.name;
    found_.baseline = table_.baseline;
    found_.task = table_.task.empty() ? "" : Path(table_.task).stem().string();
    if (Result<void> done = measure_block(table_.baseline, table_.baseline); !done)
      return std::move(done).error();
    for (const RemedyArm& arm : table_.arms)
      if (Result<void> done = measure_arm(arm); !done) return std::move(done).error();
    found_.law = found_.runs;
    std::erase_if(found_.law, [&](const RemedyMeasure& m) { return m.arm != table_.baseline; });
    for (const std::string& name : table_.law)
      for (const PlannedRun* run : blocks_.at(name))
        if (std::optional<RemedyMeasure> measure = measure_of(*run, name))
          found_.law.push_back(std::move(*measure));
    return std::move(found_);
  }

 private:
  Result<void> read_losses() {
    Result<store::Reader> reader = store::Reader::open(outside_.files, options_.store);
    if (!reader) return std::move(reader).error();
    Result<std::vector<store::Observation>> rows =
        reader->observations({.sweep = sweep_.name, .include_diverged = true});
    if (!rows) return std::move(rows).error();
    for (const store::Observation& row : *rows) losses_[row.run] = row.final_loss;
    return {};
  }

  // What training cost, with what its policy was measured to add.
  double charged(const PlannedRun& run) const {
    const run::RunFolder folder(outside_.files,
                                store::Layout{.folder = options_.store}.run(run.id));
    const Result<std::optional<Json>> result = folder.result();
    if (result && *result && (*result)->is_object()) {
      const Json flops = (*result)->value("flops_charged", Json());
      if (flops.is_object() && flops.value("exact", Json()).is_number())
        return flops["exact"].get<double>();
    }
    return run.facts.flops;
  }

  // Nothing, and a note, where the run has no loss.
  std::optional<RemedyMeasure> measure_of(const PlannedRun& run, const std::string& arm) {
    const auto loss = losses_.find(run.id);
    if (loss == losses_.end() || !std::isfinite(loss->second)) {
      found_.notes.push_back(fmt::format("{}: run {} (size {}, replica {}) has no loss",
                                         arm,
                                         run.id.substr(0, 12),
                                         size_of(run.spec),
                                         run.replica));
      return std::nullopt;
    }
    RemedyMeasure m = model_of(run.spec, arm, run.replica);
    m.run = run.id;
    m.loss = loss->second;
    m.flops = charged(run);
    return m;
  }

  static RemedyMeasure model_of(const run::RunSpec& spec,
                                const std::string& arm,
                                std::int64_t replica) {
    const run::ParamCounts counts = run::count_params(spec);
    const auto tokens = static_cast<double>(spec.tokens);
    return {.arm = arm,
            .size = size_of(spec),
            .replica = replica,
            .params = counts.block + counts.head,
            .params_stored = counts.total,
            .tokens = tokens,
            .added = tokens - static_cast<double>(run::target_tokens(spec)),
            .unique = static_cast<double>(spec.unique_tokens)};
  }

  Result<void> measure_block(const std::string& block, const std::string& arm) {
    for (const PlannedRun* run : blocks_.at(block)) {
      std::optional<RemedyMeasure> measure = measure_of(*run, arm);
      if (!measure) continue;
      if (!table_.task.empty()) {
        Result<Path> weights = weights_of_run(outside_.files, options_.store, run->id);
        if (!weights) return std::move(weights).error();
        Result<double> task = score(*weights, run->id);
        if (!task) return std::move(task).error();
        measure->task = *task;
      }
      found_.runs.push_back(std::move(*measure));
    }
    return {};
  }

  Result<double> score(const Path& weights, const std::string& like) const {
    return score_(Path(sweep_.file).parent_path() / table_.task,
                  weights,
                  store::Layout{.folder = options_.store}.run(like));
  }

  Result<void> measure_arm(const RemedyArm& arm) {
    if (arm.chain) {
      found_.arms.push_back({.name = arm.name, .kind = arm.kind, .parts = arm.parts});
      return measure_chain(arm);
    }
    const std::vector<std::string> names = names_of(arm);
    for (std::size_t i = 0; i < arm.blocks.size(); ++i) {
      const std::string &block = arm.blocks[i], &name = names[i];
      found_.arms.push_back({.name = name,
                             .kind = arm.kind,
                             .group = arm.blocks.size() == 1 ? "" : arm.name,
                             .parts = arm.parts});
      outside_.observer.note(fmt::format("{}: {}", sweep_.name, name));
      if (Result<void> done = measure_block(block, name); !done) return done;
    }
    return {};
  }

  Result<void> measure_chain(const RemedyArm& arm) {
    std::vector<const PlannedRun*> runs = blocks_.at(arm.chain->start);
    std::erase_if(runs, [&](const PlannedRun* run) {  // a start that diverged leads nowhere
      return !measure_of(*run, arm.name);
    });
    std::vector<ChainStart> starts = chain_starts(runs);
    for (std::size_t i = 0; i < starts.size(); ++i) starts[i].flops = charged(*runs[i]);
    const ChainPlace place = chain_place(sweep_, options_.store, arm);
    Result<std::vector<ChainEnd>> ends = carry_out_chain(*arm.chain, starts, place, steps());
    if (!ends) return std::move(ends).error().with_context(fmt::format("arm \"{}\"", arm.name));
    if (ends->size() < starts.size())
      found_.notes.push_back(fmt::format(
          "{}: {} of {} chains diverged", arm.name, starts.size() - ends->size(), starts.size()));
    if (Result<void> judged = judge(starts, *ends, place.name); !judged) return judged;
    for (const ChainEnd& end : *ends) {
      const ChainStart& start = starts[end.start];
      RemedyMeasure m = model_of(start.spec, arm.name, start.replica);
      m.run = end.run;
      m.added = 0;
      m.unique = unique_of(start, end);
      m.tokens = end.tokens;
      m.loss = end.loss;
      m.flops = end.flops;
      m.donors = end.donors;
      if (!table_.task.empty()) {
        Result<double> task = score(end.weights, start.run);
        if (!task) return std::move(task).error();
        m.task = *task;
      }
      if (std::isfinite(m.loss)) found_.runs.push_back(std::move(m));
    }
    return {};
  }

  // The baseline's run of that size and replica, or of that size: its text is what is scarce.
  const PlannedRun& baseline_of(const ChainStart& start) const {
    const std::vector<const PlannedRun*>& runs = blocks_.at(table_.baseline);
    const PlannedRun* same = runs.front();
    for (const PlannedRun* run : runs)
      if (size_of(run->spec) == start.size) {
        same = run;
        if (run->replica == start.replica) break;
      }
    return *same;
  }

  // Distinct tokens of the scarce text that a chain has seen: those of its last run on that text.
  double unique_of(const ChainStart& start, const ChainEnd& end) const {
    const run::RunSpec& scarce = baseline_of(start).spec;
    if (!end.run.empty()) {
      const run::RunFolder folder(outside_.files,
                                  store::Layout{.folder = options_.store}.run(end.run));
      const Result<run::RunFile> last = folder.read_spec();
      if (last && last->spec.data_digest == scarce.data_digest)
        return static_cast<double>(last->spec.unique_tokens);
    }
    return static_cast<double>(start.spec.data_digest == scarce.data_digest
                                   ? start.spec.unique_tokens
                                   : scarce.unique_tokens);
  }

  // The losses of all chains' ends, on the held-out windows that the baseline's runs are judged by.
  Result<void> judge(const std::vector<ChainStart>& starts,
                     std::vector<ChainEnd>& ends,
                     const std::string& name) {
    std::map<std::string, std::vector<ChainEnd*>> by_size;
    for (ChainEnd& end : ends) by_size[starts[end.start].size].push_back(&end);
    for (auto& [size, some] : by_size) {
      const ChainStart& like = starts[some.front()->start];
      const PlannedRun& baseline = baseline_of(like);
      Result<run::PointCorpus> corpus = held_out_of(baseline);
      if (!corpus) return std::move(corpus).error();
      run::PointList list;
      list.corpora = {std::move(*corpus)};
      for (std::size_t i = 0; i < some.size(); ++i) {
        Result<std::string> bytes = outside_.files.read(some[i]->weights);
        if (!bytes) return std::move(bytes).error();
        const std::string key = fmt::format("m{}", i);
        list.models[key] = run::Weights{.run = {}, .step = 0, .sha256 = sha256_hex(*bytes)};
        list.files[key] = some[i]->weights.string();
        list.points.push_back(
            {.name = key,
             .recipe = {{"method", "linear"}, {"models", {key}}, {"weights", {1.0}}},
             .corpora = {}});
      }
      Result<std::vector<eval::PointLoss>> losses =
          eval::evaluate_points(like.spec,
                                baseline.execution,
                                list,
                                fmt::format("{}-{}", name, size),
                                options_,
                                outside_);
      if (!losses) return std::move(losses).error();
      for (std::size_t i = 0; i < some.size(); ++i) some[i]->loss = (*losses)[i].loss;
    }
    return {};
  }

  Result<run::PointCorpus> held_out_of(const PlannedRun& run) const {
    Result<data::Manifest> manifest = data::read_manifest(outside_.files, run.execution.data);
    if (!manifest) return std::move(manifest).error();
    const std::int64_t context = run.spec.context;
    std::int64_t windows = data::usable_tokens(manifest->val.tokens, context) / context;
    if (run.spec.val_tokens > 0)
      windows = std::min(windows, (run.spec.val_tokens + context - 1) / context);
    return run::PointCorpus{.name = "target",
                            .data = run.execution.data,
                            .digest = manifest->digest,
                            .first_window = 0,
                            .windows = windows};
  }

  ChainSteps steps() {
    return {
        .train =
            [this](const Json& sweep) { return train_sweep(sweep, folder_, options_, outside_); },
        .merge =
            [this](const Json& recipe,
                   const Path& base,
                   const std::vector<Path>& models,
                   const Path& output) {
              return merge_weights(outside_.files, recipe, base, models, output);
            },
        .weights_of =
            [this](const std::string& run) {
              return weights_of_run(outside_.files, options_.store, run);
            },
        .note = [this](std::string_view text) { outside_.observer.note(text); }};
  }

  const scheduler::Sweep& sweep_;
  const scheduler::SweepOptions& options_;
  scheduler::Outside outside_;
  const ScoreTask& score_;
  RemedyTable table_;
  scheduler::Expansion plan_;
  Blocks blocks_;  // of plan_
  Path folder_;
  std::map<std::string, double> losses_;  // of the store, by run-id
  RemedyMeasures found_;
};

}  // namespace

Result<void> check_remedies(const scheduler::Sweep& sweep,
                            const scheduler::SweepOptions& options,
                            Files& files) {
  Result<PreparedRemedies> prepared = prepare_remedies(sweep, options, files);
  if (!prepared) return std::move(prepared).error();
  return {};
}

Result<RemedyMeasures> measure_remedies(const scheduler::Sweep& sweep,
                                        const scheduler::SweepOptions& options,
                                        scheduler::Outside outside,
                                        const ScoreTask& score) {
  Result<PreparedRemedies> prepared = prepare_remedies(sweep, options, outside.files);
  if (!prepared) return std::move(prepared).error();
  return Study(sweep, options, outside, score, std::move(*prepared)).measure();
}

}  // namespace ration::study
