#include "study/fusion/measures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace ration::study {
namespace {

FusionLoss loss_of(const FusionBase& base, const FusionCorpus& corpus, Measure measure) {
  return {.arm = base.arm,
          .seed = base.seed,
          .round = base.round,
          .corpus = corpus.name,
          .seen = corpus.seen,
          .measure = measure};
}

Error lost(const FusionBase& base, const FusionCorpus& corpus, Measure measure) {
  return {.kind = ErrorKind::internal,
          .what = fmt::format("the {} loss of {}, seed {}, on {} did not come back",
                              name(measure),
                              base.arm,
                              base.seed,
                              corpus.name)};
}

// Losses of bases without training, by one list of points.
class Evaluation {
 public:
  Evaluation(const FusionGround& ground, Measure measure) : ground_(ground), measure_(measure) {
    for (const FusionCorpus& corpus : ground.corpora) list_.corpora.push_back(corpus.held_out);
    for (std::size_t i = 0; i < list_.corpora.size(); ++i)
      list_.corpora[i].name = ground.corpora[i].name;
  }

  void add(const FusionBase& base) {
    bases_.push_back(base);
    const std::string weights = run::text(base.base.weights);
    const auto [at, is_new] = models_.try_emplace(weights, fmt::format("m{}", models_.size()));
    if (!is_new) return;
    const std::string& model = at->second;
    list_.models[model] = base.base.weights;
    if (base.base.weights.run.empty()) list_.files[model] = base.base.file;
    list_.points.push_back(
        {.name = model, .recipe = {{"method", "average"}, {"models", {model}}}, .corpora = {}});
  }

  Result<void> carry_out(const FusionSteps& steps,
                         const std::optional<run::PointProbe>& probe,
                         std::vector<FusionLoss>& losses) {
    if (bases_.empty()) return {};
    steps.note(fmt::format("{} losses of {} bases", name(measure_), list_.points.size()));
    list_.probe = probe;
    Result<std::vector<eval::PointLoss>> found =
        steps.evaluate(list_, fmt::format("{}-{}", ground_.name, name(measure_)));
    if (!found) return std::move(found).error();
    std::map<std::pair<std::string, std::string>, const eval::PointLoss*> by_point;
    for (const eval::PointLoss& each : *found) by_point[{each.point, each.corpus}] = &each;
    for (const FusionBase& base : bases_)
      for (const FusionCorpus& corpus : ground_.corpora) {
        const auto at = by_point.find({models_.at(run::text(base.base.weights)), corpus.name});
        if (at == by_point.end()) return lost(base, corpus, measure_);
        FusionLoss loss = loss_of(base, corpus, measure_);
        loss.loss = at->second->loss;
        loss.tokens = at->second->tokens;
        losses.push_back(std::move(loss));
      }
    return {};
  }

 private:
  const FusionGround& ground_;
  Measure measure_;
  run::PointList list_;
  std::vector<FusionBase> bases_;
  std::map<std::string, std::string> models_;  // weights -> name in the list
};

Result<void> tune(const FusionStudy& study,
                  const FusionGround& ground,
                  const FusionSteps& steps,
                  std::span<const FusionBase> bases,
                  std::vector<FusionLoss>& losses) {
  struct Wanted {
    const FusionBase* base;
    TuningJob job;
  };
  std::vector<Wanted> wanted;
  std::vector<TuningJob> jobs;
  for (const Measure measure : {Measure::fine_tuned, Measure::few_shot})
    for (const FusionBase& base : bases)
      for (std::size_t corpus = 0; corpus < ground.corpora.size(); ++corpus) {
        if (!base.last || !measured(study, base.arm, measure)) continue;
        jobs.push_back(
            {.base = base.base, .corpus = corpus, .seed = base.seed, .measure = measure});
        wanted.push_back({&base, jobs.back()});
      }
  if (jobs.empty()) return {};
  steps.note("fine-tuning of the last bases");
  Result<std::vector<TrainedRun>> runs = steps.train(tuning_sweep(study, ground, jobs));
  if (!runs) return std::move(runs).error();
  std::map<std::string, const TrainedRun*> by_key;
  for (const TrainedRun& run : *runs) by_key[key_of(run.block, run.init, run.seed)] = &run;
  for (const Wanted& each : wanted) {
    const FusionCorpus& corpus = ground.corpora[each.job.corpus];
    const auto at = by_key.find(key_of(each.job));
    if (at == by_key.end()) return lost(*each.base, corpus, each.job.measure);
    FusionLoss loss = loss_of(*each.base, corpus, each.job.measure);
    loss.loss = at->second->loss;
    losses.push_back(std::move(loss));
  }
  return {};
}

}  // namespace

bool measured(const FusionStudy& study, const std::string& arm, Measure measure) {
  const auto found = std::find_if(study.arms.begin(), study.arms.end(), [&](const FusionArm& each) {
    return each.name == arm;
  });
  return found != study.arms.end() ? found->measured_by(measure) : study.evaluate.wants(measure);
}

Result<std::vector<FusionLoss>> measure_bases(const FusionStudy& study,
                                              const FusionGround& ground,
                                              const FusionSteps& steps,
                                              std::span<const FusionBase> bases) {
  std::vector<FusionLoss> losses;
  Evaluation as_it_is(ground, Measure::zero_step), probed(ground, Measure::probe);
  for (const FusionBase& base : bases) {
    if (measured(study, base.arm, Measure::zero_step) &&
        (base.last || base.round % study.evaluate.every == 0))
      as_it_is.add(base);
    if (measured(study, base.arm, Measure::probe) && base.last) probed.add(base);
  }
  if (Result<void> done = as_it_is.carry_out(steps, std::nullopt, losses); !done)
    return std::move(done).error();
  if (Result<void> done = probed.carry_out(steps, study.evaluate.probe, losses); !done)
    return std::move(done).error();
  if (Result<void> done = tune(study, ground, steps, bases, losses); !done)
    return std::move(done).error();
  return losses;
}

}  // namespace ration::study
