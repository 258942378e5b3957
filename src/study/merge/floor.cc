#include "study/merge/floor.h"

#include <algorithm>
#include <limits>

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

MergeFloor::Table table_for(const MergeModels& models) {
  const MergeFloor::Losses none{.choose = {.loss = kNone}, .report = {.loss = kNone}};
  return MergeFloor::Table(models.corpora.size(),
                           std::vector<MergeFloor::Losses>(models.replicas.size(), none));
}

}  // namespace

double MergeFloor::recovered(std::size_t corpus,
                             std::size_t replica,
                             Half half,
                             double loss) const {
  const double from = base[corpus][replica].on(half).loss;
  return (from - loss) / (from - own[corpus][replica].on(half).loss);
}

double MergeFloor::gain(std::size_t corpus, Half half) const {
  double sum = 0;
  for (std::size_t replica = 0; replica < base[corpus].size(); ++replica)
    sum += base[corpus][replica].on(half).loss - own[corpus][replica].on(half).loss;
  return sum / static_cast<double>(base[corpus].size());
}

Result<MergeFloor> measure_floor(const MergeModels& models, const MergeEvaluate& evaluate) {
  MergePoints points(models);
  struct Asked {
    std::string point;
    std::size_t corpus;
    MergeFloor::Losses* losses;
  };
  std::vector<Asked> asked;
  const auto ask = [&](const std::string& model, std::size_t corpus, MergeFloor::Losses& losses) {
    points.add_model(model, {corpus}, Half::choose);
    asked.push_back({points.add_model(model, {corpus}, Half::report), corpus, &losses});
  };
  MergeFloor floor{.base = table_for(models), .own = table_for(models), .multitask = {}};
  floor.multitask.assign(models.multitask.size(), table_for(models));
  for (std::size_t replica = 0; replica < models.replicas.size(); ++replica) {
    for (std::size_t corpus = 0; corpus < models.corpora.size(); ++corpus) {
      ask(models.base[replica], corpus, floor.base[corpus][replica]);
      ask(models.own[corpus][replica], corpus, floor.own[corpus][replica]);
    }
    for (std::size_t i = 0; i < models.multitask.size(); ++i)
      for (const std::size_t corpus : models.multitask[i].corpora)
        ask(models.multitask[i].models[replica], corpus, floor.multitask[i][corpus][replica]);
  }
  MergeLosses losses;
  if (Result<void> done = losses.evaluate(points, evaluate, "floor"); !done)
    return std::move(done).error();
  for (const Asked& each : asked)
    *each.losses = {.choose = losses.at(each.point, each.corpus, Half::choose),
                    .report = losses.at(each.point, each.corpus, Half::report)};
  return floor;
}

std::vector<std::size_t> corpora_with_gain(const MergeFloor& floor, double min_gain) {
  std::vector<std::size_t> kept;
  for (std::size_t corpus = 0; corpus < floor.base.size(); ++corpus)
    if (floor.gain(corpus, Half::choose) >= min_gain) kept.push_back(corpus);
  return kept;
}

}  // namespace ration::study
