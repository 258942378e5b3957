#include "train/experts/specialisation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/random.h"

namespace ration::train::experts {
namespace {

double entropy(const double* p, std::size_t count) {
  double sum = 0;
  for (std::size_t e = 0; e < count; ++e)
    if (p[e] > 0) sum -= p[e] * std::log(p[e]);
  return sum;
}

// Weights summed over the units of each sequence, so that a shuffle need not look at units.
struct Sequences {
  std::size_t experts = 0;
  std::vector<double> sums;  // [sequences,E]
  std::vector<double> units;
  std::vector<std::size_t> sources;
  std::size_t different = 0;  // sources
};

Sequences sequences_of(const RoutedUnits& units) {
  Sequences all{.experts = static_cast<std::size_t>(units.experts)};
  std::map<std::int64_t, std::size_t> number, source_number;
  for (const std::int64_t source : units.sources)
    source_number.emplace(source, source_number.size());
  all.different = source_number.size();
  for (std::size_t i = 0; i < units.units(); ++i) {
    const auto [place, is_new] = number.emplace(units.sequences[i], number.size());
    if (is_new) {
      all.sums.resize(all.sums.size() + all.experts);
      all.units.push_back(0);
      all.sources.push_back(source_number[units.sources[i]]);
    }
    all.units[place->second] += 1;
    for (std::size_t e = 0; e < all.experts; ++e)
      all.sums[place->second * all.experts + e] += units.weights[i * all.experts + e];
  }
  return all;
}

double information(const Sequences& all, const std::vector<std::size_t>& sources) {
  const std::size_t experts = all.experts;
  std::vector<double> sums(all.different * experts), whole(experts), counts(all.different);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    counts[sources[i]] += all.units[i];
    for (std::size_t e = 0; e < experts; ++e)
      sums[sources[i] * experts + e] += all.sums[i * experts + e];
  }
  const double units = std::accumulate(counts.begin(), counts.end(), 0.0);
  double within = 0;
  for (std::size_t s = 0; s < all.different; ++s) {
    double* its = sums.data() + s * experts;
    for (std::size_t e = 0; e < experts; ++e) {
      whole[e] += its[e] / units;
      its[e] /= counts[s];
    }
    within += counts[s] / units * entropy(its, experts);
  }
  return (entropy(whole.data(), experts) - within) / std::log(static_cast<double>(all.different));
}

}  // namespace

std::vector<double> mean_weights(const RoutedUnits& units, std::int64_t source) {
  const auto experts = static_cast<std::size_t>(units.experts);
  std::vector<double> mean(experts, 0);
  double count = 0;
  for (std::size_t i = 0; i < units.units(); ++i) {
    if (source >= 0 && units.sources[i] != source) continue;
    count += 1;
    for (std::size_t e = 0; e < experts; ++e) mean[e] += units.weights[i * experts + e];
  }
  for (double& p : mean) p /= std::max(1.0, count);
  return mean;
}

double normalised_information(const RoutedUnits& units) {
  const Sequences all = sequences_of(units);
  if (all.different < 2) return std::numeric_limits<double>::quiet_NaN();
  return information(all, all.sources);
}

double information_p_value(const RoutedUnits& units,
                           std::int64_t permutations,
                           std::uint64_t seed) {
  const Sequences all = sequences_of(units);
  if (all.different < 2) return std::numeric_limits<double>::quiet_NaN();
  constexpr double kRounding = 1e-12;  // sums in another order are not larger
  const double found = information(all, all.sources) - kRounding;
  std::int64_t as_large = 1;
  std::vector<std::size_t> shuffled(all.sources.size());
  for (std::int64_t i = 0; i < permutations; ++i) {
    const auto order = permutation(static_cast<std::uint32_t>(shuffled.size()),
                                   {seed, StreamId::labels, static_cast<std::uint64_t>(i)});
    for (std::size_t k = 0; k < order.size(); ++k) shuffled[k] = all.sources[order[k]];
    if (information(all, shuffled) >= found) ++as_large;
  }
  return static_cast<double>(as_large) / static_cast<double>(1 + permutations);
}

double mean_entropy(const RoutedUnits& units) {
  const auto experts = static_cast<std::size_t>(units.experts);
  if (experts < 2 || units.units() == 0) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < units.units(); ++i)
    sum += entropy(units.weights.data() + i * experts, experts);
  return sum / static_cast<double>(units.units()) / std::log(static_cast<double>(experts));
}

bool is_collapsed(const RoutedUnits& units) {
  if (units.experts < 2 || units.units() == 0) return false;
  const std::vector<double> mean = mean_weights(units);
  return mean_entropy(units) < 0.05 && *std::max_element(mean.begin(), mean.end()) > 0.9;
}

bool is_uniform(const RoutedUnits& units) {
  return units.experts > 1 && mean_entropy(units) > 0.98;
}

bool is_specialised(const std::vector<std::vector<double>>& increases) {
  return std::all_of(increases.begin(), increases.end(), [](std::vector<double> row) {
    if (row.empty()) return false;
    std::sort(row.begin(), row.end());
    const std::size_t half = row.size() / 2;
    const double median = row.size() % 2 == 1 ? row[half] : (row[half - 1] + row[half]) / 2;
    return row.back() > 0 && row.back() > 3 * median;
  });
}

}  // namespace ration::train::experts
