// Which pairs of models a study draws lines through, and which groups span a hull.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/random.h"
#include "study/region/points.h"

namespace ration::study {
namespace {

// Where the draws of each kind of pairs begin.
enum Kind : std::uint64_t { same_corpus, same_family, across_families, from_start, across_starts };

// Up to `count` of the candidates, shuffled; those with models that none has yet go first.
std::vector<LinePair> chosen(std::vector<LinePair> candidates,
                             std::int64_t count,
                             std::int64_t seed,
                             Kind kind) {
  const std::vector<std::uint32_t> order =
      permutation(static_cast<std::uint32_t>(candidates.size()),
                  Stream(static_cast<std::uint64_t>(seed), StreamId::subsets, kind));
  std::vector<LinePair> pairs;
  std::set<std::uint32_t> taken;
  std::set<std::string> used;
  for (const bool fresh : {true, false})
    for (const std::uint32_t i : order) {
      const LinePair& pair = candidates[i];
      if (static_cast<std::int64_t>(pairs.size()) == count || taken.contains(i)) continue;
      if (fresh && (used.contains(pair.a.run) || used.contains(pair.b.run))) continue;
      taken.insert(i);
      if (kind != from_start) used.insert(pair.a.run);  // all of these have the same one
      used.insert(pair.b.run);
      pairs.push_back(pair);
    }
  return pairs;
}

std::vector<std::string> corpora_of_pair(const Model& a, const Model& b) {
  if (a.corpus == b.corpus) return {a.corpus};
  return {a.corpus, b.corpus};
}

}  // namespace

std::vector<LinePair> line_pairs(const RegionTable& table, const RegionModels& models) {
  std::vector<LinePair> pairs;
  const auto take = [&](const char* kind, Kind number, std::vector<LinePair> candidates) {
    for (LinePair& pair : candidates) pair.kind = kind;
    for (LinePair& pair : chosen(std::move(candidates), table.lines, table.seed, number))
      pairs.push_back(std::move(pair));
  };
  const auto between = [&](const std::function<bool(const Model&, const Model&)>& fits) {
    std::vector<LinePair> found;
    for (std::size_t j = 0; j < models.models.size(); ++j)
      for (std::size_t i = 0; i < j; ++i) {
        const Model &a = models.models[i], &b = models.models[j];
        if (fits(a, b))
          found.push_back({.kind = {}, .a = a, .b = b, .corpora = corpora_of_pair(a, b)});
      }
    return found;
  };
  const auto family = [&](const Model& model) { return models.family.at(model.corpus); };
  take("same corpus", same_corpus, between([](const Model& a, const Model& b) {
         return a.corpus == b.corpus;
       }));
  take("same family", same_family, between([&](const Model& a, const Model& b) {
         return a.corpus != b.corpus && family(a) == family(b);
       }));
  const char* apart = table.family.empty() ? "across corpora" : "across families";
  take(apart, across_families, between([&](const Model& a, const Model& b) {
         return family(a) != family(b);
       }));
  std::vector<LinePair> from;
  for (const Model& model : models.models)
    from.push_back({.kind = {}, .a = models.base, .b = model, .corpora = {model.corpus}});
  take("start to model", from_start, std::move(from));
  std::vector<LinePair> across;
  for (const Model& a : models.models)
    for (const Model& b : models.second_models)
      if (a.corpus == b.corpus)
        across.push_back({.kind = {}, .a = a, .b = b, .corpora = {a.corpus}});
  take("across starts, same corpus", across_starts, std::move(across));
  return pairs;
}

std::vector<Region> regions_of(const RegionTable& table, const RegionModels& models) {
  std::vector<Region> corpus_level, family_level, all_level;
  for (const std::string& target : models.corpora) {
    const std::string& family = models.family.at(target);
    Region own{.name = target, .level = "corpus", .target = target, .controls = true};
    Region kin{.name = family + " without " + target, .level = "family", .target = target};
    Region all{.name = "all without " + target, .level = "all", .target = target};
    for (std::size_t i = 0; i < models.models.size(); ++i) {
      const std::string& corpus = models.models[i].corpus;
      const bool related = models.family.at(corpus) == family;
      (corpus == target ? own.members : own.others).push_back(i);
      if (!related) kin.others.push_back(i);
      if (related && corpus != target) kin.members.push_back(i);
      if (corpus != target) all.members.push_back(i);
    }
    corpus_level.push_back(std::move(own));
    if (!table.family.empty() && !kin.members.empty() && !kin.others.empty())
      family_level.push_back(std::move(kin));
    all_level.push_back(std::move(all));
  }
  std::vector<Region> regions = std::move(corpus_level);
  regions.insert(regions.end(), family_level.begin(), family_level.end());
  regions.insert(regions.end(), all_level.begin(), all_level.end());
  return regions;
}

std::vector<std::size_t> triangle_of(const RegionModels& models) {
  std::vector<std::string> corners;
  std::set<std::string> families;
  for (const std::string& corpus : models.corpora)
    if (families.insert(models.family.at(corpus)).second) corners.push_back(corpus);
  for (const std::string& corpus : models.corpora)
    if (std::find(corners.begin(), corners.end(), corpus) == corners.end())
      corners.push_back(corpus);
  if (corners.size() < 3) return {};
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < 3; ++i) places.push_back(members_of(models, corners[i]).front());
  return places;
}

}  // namespace ration::study
