// Whether the cosines of task vectors follow a label.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "region/cluster.h"
#include "study/region/vectors.h"

namespace ration::study {
namespace {

// Cosines of some models with what is known of them.
struct Labelled {
  std::string question;
  std::vector<double> cosines;  // [n, n]
  std::vector<std::string> labels;
  std::vector<std::string> units = {};  // see region::TestOptions
};

// Mean cosine within labels minus between them, models counted `weights` times; pairs of one unit
// left out, as in region::test_labels.
double weighted_difference(const Labelled& some, std::span<const double> weights) {
  const std::size_t n = some.labels.size();
  double sums[2] = {0, 0}, totals[2] = {0, 0};
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < j; ++i) {
      if (!some.units.empty() && some.units[i] == some.units[j]) continue;
      const int within = some.labels[i] == some.labels[j] ? 1 : 0;
      sums[within] += weights[i] * weights[j] * some.cosines[i * n + j];
      totals[within] += weights[i] * weights[j];
    }
  return sums[1] / totals[1] - sums[0] / totals[0];  // NaN where a draw has none of a kind
}

// Models that equal their start have no cosine, and are left out.
Labelled without_zeros(const Labelled& some) {
  const std::size_t n = some.labels.size();
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isnan(some.cosines[i * n + i])) kept.push_back(i);
  Labelled left{.question = some.question, .cosines = {}, .labels = {}};
  for (const std::size_t i : kept) {
    left.labels.push_back(some.labels[i]);
    if (!some.units.empty()) left.units.push_back(some.units[i]);
    for (const std::size_t j : kept) left.cosines.push_back(some.cosines[i * n + j]);
  }
  return left;
}

// The number of each model's unit: what is resampled together.
std::vector<std::size_t> numbers_of(const Labelled& some) {
  std::vector<std::size_t> numbers(some.labels.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < some.units.size(); ++i)
    numbers[i] = known.try_emplace(some.units[i], known.size()).first->second;
  return numbers;
}

Result<std::vector<Finding>> findings_of(const RegionTable& table, const Labelled& all) {
  const Labelled some = without_zeros(all);
  const std::size_t labels = std::set<std::string>(some.labels.begin(), some.labels.end()).size();
  if (labels < 2 || some.labels.size() < 3) return std::vector<Finding>();
  const auto seed = static_cast<std::uint64_t>(table.seed);
  Result<region::Clusters> clusters = region::spectral(some.cosines, labels, seed);
  if (!clusters) return std::move(clusters).error();
  const region::LabelTest test =
      region::test_labels(some.cosines,
                          *clusters,
                          some.labels,
                          {.permutations = table.permutations, .seed = seed, .units = some.units});
  const std::vector<std::size_t> units = numbers_of(some);
  Estimate difference = crossed_bootstrap(
      {units},
      [&](std::span<const double> weights) { return weighted_difference(some, weights); },
      {.draws = table.draws, .seed = seed});
  difference.p = test.contrast_p;
  const auto n = static_cast<std::int64_t>(*std::max_element(units.begin(), units.end()) + 1);
  std::vector<Finding> findings;
  const auto say = [&](const char* statistic, const Estimate& estimate) {
    findings.push_back({all.question, "all", statistic, estimate, n});
  };
  say("cosine within labels", plain(test.contrast.within));
  say("cosine between labels", plain(test.contrast.between));
  say("cosine within - between", difference);
  say("accuracy of spectral clusters", plain(test.accuracy));
  findings.back().remark = fmt::format(
      "{} labels; the largest gap of eigenvalues asks for {}", labels, clusters->largest_gap);
  say("adjusted Rand index", tested(test.rand_index, test.rand_p));
  say("silhouette", plain(test.silhouette));
  return findings;
}

std::vector<std::size_t> range(std::size_t begin, std::size_t count) {
  std::vector<std::size_t> places(count);
  std::iota(places.begin(), places.end(), begin);
  return places;
}

// Models of both starts, of the corpora that the second one has.
std::vector<Labelled> by_start(const RegionVectors& vectors) {
  std::set<std::string> corpora;
  for (std::size_t i = 0; i < vectors.second; ++i)
    corpora.insert(vectors.models[vectors.first + i].corpus);
  std::vector<std::size_t> places;
  Labelled own{.question = "start", .cosines = {}, .labels = {}};
  for (std::size_t i = 0; i < vectors.first + vectors.second; ++i) {
    if (!corpora.contains(vectors.models[i].corpus)) continue;
    places.push_back(i);
    own.labels.push_back(i < vectors.first ? "first" : "second");
  }
  own.cosines = cosines_from_own_start(vectors, places);
  return {own};
}

std::vector<Labelled> by_amount(const RegionVectors& vectors) {
  const std::vector<std::size_t> places = range(vectors.first + vectors.second, vectors.amounts);
  Labelled amount{.question = "amount of text (control)",
                  .cosines = cosines_from_own_start(vectors, places),
                  .labels = {}};
  Labelled corpus{.question = "corpus, over amounts", .cosines = amount.cosines, .labels = {}};
  for (const std::size_t place : places) {
    amount.labels.push_back(std::to_string(vectors.models[place].spec.unique_tokens));
    corpus.labels.push_back(vectors.models[place].corpus);
  }
  return {amount, corpus};
}

}  // namespace

Result<std::vector<Finding>> label_findings(const RegionTable& table,
                                            const RegionModels& models,
                                            const RegionVectors& vectors) {
  const std::vector<std::size_t> first = range(0, vectors.first);
  Labelled corpus{
      .question = "corpus", .cosines = cosines_from_own_start(vectors, first), .labels = {}};
  for (const Model& model : models.models) corpus.labels.push_back(model.corpus);
  std::vector<Labelled> questions = {corpus};
  if (!table.family.empty()) {
    Labelled family{
        .question = "family", .cosines = corpus.cosines, .labels = {}, .units = corpus.labels};
    for (const std::string& name : corpus.labels) family.labels.push_back(models.family.at(name));
    questions.push_back(std::move(family));
  }
  for (Labelled& each : by_start(vectors)) questions.push_back(std::move(each));
  for (Labelled& each : by_amount(vectors)) questions.push_back(std::move(each));
  std::vector<Finding> findings;
  for (const Labelled& question : questions) {
    Result<std::vector<Finding>> some = findings_of(table, question);
    if (!some) return std::move(some).error();
    findings.insert(findings.end(), some->begin(), some->end());
  }
  return findings;
}

}  // namespace ration::study
