#include "study/region/hulls.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace ration::study {
namespace {

// One side of a comparison; values of one unit are resampled together.
struct Side {
  std::string name;
  std::vector<double> losses;
  std::vector<std::size_t> units;
};

Side side(std::string name, const std::vector<double>& losses) {
  Side made{.name = std::move(name), .losses = losses, .units = {}};
  made.units.resize(losses.size());
  std::iota(made.units.begin(), made.units.end(), std::size_t{0});
  return made;
}

Side other_models(const HullLosses& losses) {
  Side made{.name = "other models", .losses = losses.others, .units = {}};
  std::map<std::string, std::size_t> numbers;
  for (const std::string& corpus : losses.corpus_of_other)
    made.units.push_back(numbers.try_emplace(corpus, numbers.size()).first->second);
  return made;
}

std::size_t units_of(const Side& some) {
  return some.units.empty() ? 0 : *std::max_element(some.units.begin(), some.units.end()) + 1;
}

// Intervals of few units know no bounds; probabilities do.
Estimate within_bounds(Estimate probability) {
  probability.low = std::max(probability.low, 0.0);
  probability.high = std::min(probability.high, 1.0);
  return probability;
}

// Resamples the units of x, of y, or of both.
Estimate probability(
    const RegionTable& table, const Side& x, const Side& y, bool resample_x, bool resample_y) {
  std::vector<double> wins;
  std::vector<std::size_t> of_x, of_y;
  for (std::size_t i = 0; i < x.losses.size(); ++i)
    for (std::size_t j = 0; j < y.losses.size(); ++j) {
      wins.push_back(x.losses[i] < y.losses[j] ? 1 : x.losses[i] == y.losses[j] ? 0.5 : 0);
      of_x.push_back(x.units[i]);
      of_y.push_back(y.units[j]);
    }
  std::vector<std::vector<std::size_t>> factors;
  if (resample_x) factors.push_back(std::move(of_x));
  if (resample_y) factors.push_back(std::move(of_y));
  Estimate estimate = crossed_bootstrap(
      factors,
      [&](std::span<const double> weights) { return weighted_mean(wins, weights); },
      {.draws = table.draws, .seed = static_cast<std::uint64_t>(table.seed)});
  estimate.p = plain(0).p;  // that of no difference from 0 says nothing about 0.5
  const bool alone = (!resample_x || units_of(x) < 2) && (!resample_y || units_of(y) < 2);
  return alone ? plain(estimate.value) : within_bounds(estimate);
}

double difference(const std::vector<double>& x, const std::vector<double>& y) {
  return mean(x) - mean(y);
}

// Student's interval of a number of each region of a level.
Finding over_regions(const std::string& level,
                     std::string statistic,
                     const std::vector<double>& values) {
  return {"hull",
          level + " level, mean",
          std::move(statistic),
          paired_t(values),
          static_cast<std::int64_t>(values.size())};
}

// The same of probabilities, with the sign test of regions above 1/2 against those below: their
// deviation may be 0.
Finding chance_over_regions(const std::string& level,
                            const std::string& statistic,
                            const std::vector<double>& values) {
  Finding finding = over_regions(level, statistic, values);
  finding.estimate = within_bounds(finding.estimate);
  const auto above = std::count_if(values.begin(), values.end(), [](double p) { return p > 0.5; });
  const auto below = std::count_if(values.begin(), values.end(), [](double p) { return p < 0.5; });
  finding.estimate.p = sign_test(above, below);
  return finding;
}

std::string chance(const Better& better) { return fmt::format("P({} < {})", better.x, better.y); }

}  // namespace

std::vector<HullLosses> hull_losses(const RegionTable& table,
                                    const RegionModels& models,
                                    std::span<const Region> regions,
                                    const Controls& controls,
                                    const RegionLosses& losses) {
  std::vector<HullLosses> all;
  for (const Region& region : regions) {
    HullLosses found{.region = region};
    const auto loss = [&](const std::string& point) { return losses.at(point, region.target); };
    for (const std::size_t i : region.members)
      found.members.push_back(loss(model_point(models.models[i])));
    for (const std::size_t i : region.others) {
      found.others.push_back(loss(model_point(models.models[i])));
      found.corpus_of_other.push_back(models.models[i].corpus);
    }
    for (std::int64_t s = 0; s < table.hull_samples; ++s)
      found.hull.push_back(loss(region_point("hull", region, s)));
    const auto add = [&](const char* kind, std::vector<double>& into) {
      const auto files = controls.find({region.name, kind});
      if (files == controls.end()) return;
      for (std::size_t c = 0; c < files->second.size(); ++c)
        into.push_back(loss(region_point(kind, region, static_cast<std::int64_t>(c))));
    };
    add("random", found.random);
    add("shuffled", found.shuffled);
    found.centroid = loss(region_point("centroid", region, 0));
    found.start = loss(model_point(models.base));
    all.push_back(std::move(found));
  }
  return all;
}

std::vector<Better> better_of(const RegionTable& table, const HullLosses& losses) {
  const Side hull = side("hull", losses.hull), members = side("members", losses.members),
             start = side("start", {losses.start});
  std::vector<Better> found;
  // The hull's samples have no interval over models of their own: they rest on all members at once.
  const auto of_hull = [&](const Side& y) {
    if (y.losses.empty()) return;
    found.push_back({.x = hull.name,
                     .y = y.name,
                     .over_models = probability(table, hull, y, false, true),
                     .over_samples = probability(table, hull, y, true, false),
                     .models = static_cast<std::int64_t>(units_of(y))});
  };
  const auto of_members = [&](const Side& y) {
    if (y.losses.empty()) return;
    found.push_back({.x = members.name,
                     .y = y.name,
                     .over_models = probability(table, members, y, true, true),
                     .over_samples = plain(plain(0).p),
                     .models = static_cast<std::int64_t>(units_of(members))});
  };
  of_hull(members);
  of_hull(other_models(losses));
  of_hull(side("random", losses.random));
  of_hull(side("shuffled", losses.shuffled));
  of_hull(start);
  of_members(other_models(losses));
  of_members(side("random", losses.random));
  of_members(start);
  return found;
}

std::vector<Finding> hull_findings(const RegionTable& table, std::span<const HullLosses> losses) {
  std::vector<Finding> each, all;
  for (const char* level : {"corpus", "family", "all"}) {
    std::map<std::string, std::vector<double>> chances;
    std::vector<double> hull_members, centroid_members, hull_start;
    for (const HullLosses& some : losses) {
      if (some.region.level != level) continue;
      hull_members.push_back(difference(some.hull, some.members));
      centroid_members.push_back(some.centroid - mean(some.members));
      hull_start.push_back(mean(some.hull) - some.start);
      for (const Better& better : better_of(table, some)) {
        const std::string name = chance(better);
        chances[name].push_back(better.over_models.value);
        each.push_back({"hull",
                        some.region.name,
                        name + " over models",
                        better.over_models,
                        better.models,
                        {},
                        true});
        if (better.x == "hull")
          each.push_back({"hull",
                          some.region.name,
                          name + " over samples",
                          better.over_samples,
                          table.hull_samples,
                          {},
                          true});
      }
    }
    if (hull_members.empty()) continue;
    for (const auto& [name, values] : chances)
      all.push_back(chance_over_regions(level, name, values));
    all.push_back(over_regions(level, "hull - members (nats)", hull_members));
    all.push_back(over_regions(level, "centroid - members (nats)", centroid_members));
    all.push_back(over_regions(level, "hull - start (nats)", hull_start));
  }
  all.insert(all.end(), each.begin(), each.end());
  return all;
}

}  // namespace ration::study
