#include "study/merge/soups.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ration::study {
namespace {

struct Pot {
  const MergeSubset* subset = nullptr;
  std::size_t replica = 0;
  std::vector<std::string> queue;  // from the best to the worst; the first is in the soup
  std::vector<std::string> soup;
  double score = 0;
};

double score_of(const MergeLosses& losses, const std::string& point, const MergeSubset& subset) {
  double sum = 0;
  for (const std::size_t corpus : subset.corpora)
    sum += losses.at(point, corpus, Half::choose).loss;
  return std::isnan(sum) ? std::numeric_limits<double>::infinity()
                         : sum / static_cast<double>(subset.corpora.size());
}

// Each model alone, on all corpora of its subsets.
Result<void> fill(const MergeModels& models,
                  std::vector<Pot>& pots,
                  const MergeEvaluate& evaluate) {
  MergePoints points(models);
  for (const Pot& pot : pots)
    for (const std::size_t corpus : pot.subset->corpora)
      points.add_model(models.own[corpus][pot.replica], pot.subset->corpora, Half::choose);
  MergeLosses losses;
  if (Result<void> done = losses.evaluate(points, evaluate, "soup0"); !done) return done;
  for (Pot& pot : pots) {
    std::vector<std::pair<double, std::string>> scored;
    for (const std::size_t corpus : pot.subset->corpora) {
      const std::string& model = models.own[corpus][pot.replica];
      const Json alone = merge_recipe("average", Json::object(), "", {model});
      scored.emplace_back(score_of(losses, canonical_json(alone).value(), *pot.subset), model);
    }
    std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) {
      return a.first < b.first;
    });
    for (const auto& [score, model] : scored) pot.queue.push_back(model);
    pot.soup = {pot.queue.front()};
    pot.score = scored.front().first;
  }
  return {};
}

}  // namespace

Result<MergeSoups> greedy_soups(const MergeModels& models,
                                const std::vector<MergeSubset>& subsets,
                                const MergeEvaluate& evaluate) {
  std::vector<Pot> pots;
  std::size_t largest = 0;
  for (const MergeSubset& subset : subsets) {
    largest = std::max(largest, subset.corpora.size());
    for (std::size_t replica = 0; replica < models.replicas.size(); ++replica)
      pots.push_back({.subset = &subset, .replica = replica, .queue = {}, .soup = {}});
  }
  if (Result<void> done = fill(models, pots, evaluate); !done) return std::move(done).error();
  for (std::size_t round = 1; round < largest; ++round) {
    MergePoints points(models);
    std::vector<std::string> tried(pots.size());
    for (std::size_t i = 0; i < pots.size(); ++i) {
      if (pots[i].queue.size() <= round) continue;
      std::vector<std::string> with = pots[i].soup;
      with.push_back(pots[i].queue[round]);
      tried[i] = points.add(
          merge_recipe("average", Json::object(), "", with), pots[i].subset->corpora, Half::choose);
    }
    MergeLosses losses;
    if (Result<void> done = losses.evaluate(points, evaluate, fmt::format("soup{}", round)); !done)
      return std::move(done).error();
    for (std::size_t i = 0; i < pots.size(); ++i) {
      if (tried[i].empty()) continue;
      const double score = score_of(losses, tried[i], *pots[i].subset);
      if (score > pots[i].score) continue;
      pots[i].score = score;
      pots[i].soup.push_back(pots[i].queue[round]);
    }
  }
  MergeSoups soups(subsets.size());
  for (Pot& pot : pots)
    soups[static_cast<std::size_t>(pot.subset - subsets.data())].push_back(std::move(pot.soup));
  return soups;
}

}  // namespace ration::study
