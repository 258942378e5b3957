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

double entropy_of_rows(const RoutedUnits& units, const std::vector<double>& rows) {
  const auto experts = static_cast<std::size_t>(units.experts);
  if (experts < 2 || units.units() == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (std::size_t i = 0; i < units.units(); ++i)
    sum += entropy(rows.data() + i * experts, experts);
  return sum / static_cast<double>(units.units()) / std::log(static_cast<double>(experts));
}

// Whether a source misses one of the experts that are left out in turn.
std::optional<bool> misses_one(std::vector<Increase> row) {
  if (row.size() < 3) return std::nullopt;
  std::sort(
      row.begin(), row.end(), [](const Increase& a, const Increase& b) { return a.mean < b.mean; });
  const std::size_t half = row.size() / 2;
  const double median =
      row.size() % 2 == 1 ? row[half].mean : (row[half - 1].mean + row[half].mean) / 2;
  const Increase& most = row.back();
  if (std::isnan(most.error)) return std::nullopt;
  return most.mean > 0 && most.mean > 3 * median && most.mean > 2 * most.error;
}

}  // namespace

std::size_t RoutedUnits::units_of(std::int64_t source) const {
  return static_cast<std::size_t>(std::count(sources.begin(), sources.end(), source));
}

std::vector<double> mean_weights(const RoutedUnits& units, std::int64_t source) {
  const auto experts = static_cast<std::size_t>(units.experts);
  std::vector<double> mean(experts, 0);
  double count = 0;
  for (std::size_t i = 0; i < units.units(); ++i) {
    if (source >= 0 && units.sources[i] != source) continue;
    count += 1;
    for (std::size_t e = 0; e < experts; ++e) mean[e] += units.weights[i * experts + e];
  }
  if (count == 0) return {};
  for (double& p : mean) p /= count;
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
  return entropy_of_rows(units, units.soft.empty() ? units.weights : units.soft);
}

bool is_collapsed(const RoutedUnits& units) {
  if (units.experts < 2 || units.units() == 0) return false;
  const std::vector<double> mean = mean_weights(units);
  return entropy_of_rows(units, units.weights) < 0.05 &&
         *std::max_element(mean.begin(), mean.end()) > 0.9;
}

bool is_uniform(const RoutedUnits& units) { return mean_entropy(units) > 0.98; }

std::optional<bool> misses_experts(const std::vector<std::vector<Increase>>& increases) {
  if (increases.empty()) return std::nullopt;
  bool all = true;
  for (const std::vector<Increase>& row : increases) {
    const std::optional<bool> misses = misses_one(row);
    if (!misses) return std::nullopt;
    all = all && *misses;
  }
  return all;
}

std::optional<bool> is_specialised(const RoutedUnits& units,
                                   const std::vector<std::vector<Increase>>& increases) {
  const std::optional<bool> misses = misses_experts(increases);
  if (!misses) return std::nullopt;
  return *misses && !is_collapsed(units) && !is_uniform(units);
}

}  // namespace ration::train::experts
