// How labels and clusters go together, and whether that could be chance.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/random.h"
#include "region/assignment.h"
#include "region/cluster.h"

namespace ration::region {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Statistics of permutations that differ from the observed one by rounding alone count as equal.
constexpr double kRounding = 1e-12;

// Words as numbers 0 … n - 1 by first use.
template <class Word>
std::vector<std::size_t> numbered(std::span<const Word> words) {
  std::map<Word, std::size_t> numbers;
  std::vector<std::size_t> result;
  for (const Word& word : words)
    result.push_back(numbers.try_emplace(word, numbers.size()).first->second);
  return result;
}

std::size_t kinds(const std::vector<std::size_t>& numbers) {
  return numbers.empty() ? 0 : 1 + *std::max_element(numbers.begin(), numbers.end());
}

// How many models have each cluster and label.
struct Contingency {
  std::size_t rows = 0, columns = 0;
  std::vector<std::int64_t> counts;  // [cluster, label]
};

Contingency contingency(const std::vector<std::size_t>& clusters,
                        const std::vector<std::size_t>& labels) {
  Contingency table{kinds(clusters), kinds(labels), {}};
  table.counts.resize(table.rows * table.columns);
  for (std::size_t i = 0; i < clusters.size(); ++i)
    ++table.counts[clusters[i] * table.columns + labels[i]];
  return table;
}

double pairs(std::int64_t n) { return static_cast<double>(n) * static_cast<double>(n - 1) / 2; }

// Hubert and Arabie 1985.
double rand_index(const Contingency& table, std::size_t models) {
  std::vector<std::int64_t> rows(table.rows), columns(table.columns);
  double together = 0, in_rows = 0, in_columns = 0;
  for (std::size_t i = 0; i < table.counts.size(); ++i) {
    together += pairs(table.counts[i]);
    rows[i / table.columns] += table.counts[i];
    columns[i % table.columns] += table.counts[i];
  }
  for (const std::int64_t count : rows) in_rows += pairs(count);
  for (const std::int64_t count : columns) in_columns += pairs(count);
  const double all = pairs(static_cast<std::int64_t>(models));
  const double expected = all > 0 ? in_rows * in_columns / all : 0;
  const double largest = (in_rows + in_columns) / 2;
  // Both are one cluster, or both only clusters of one: the same partition.
  return largest == expected ? 1 : (together - expected) / (largest - expected);
}

// Sums of cosines over pairs of models, gathered by the units that move together.
struct Blocks {
  std::size_t units = 0;
  std::vector<std::size_t> of;      // unit of each model
  std::vector<double> sums, count;  // [unit, unit], the upper triangle
};

Blocks blocks_of(std::span<const double> cosines, std::vector<std::size_t> units) {
  Blocks blocks{kinds(units), std::move(units), {}, {}};
  blocks.sums.resize(blocks.units * blocks.units);
  blocks.count.resize(blocks.sums.size());
  const std::size_t n = blocks.of.size();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const auto [low, high] = std::minmax(blocks.of[i], blocks.of[j]);
      blocks.sums[low * blocks.units + high] += cosines[i * n + j];
      blocks.count[low * blocks.units + high] += 1;
    }
  return blocks;
}

// Pairs of one unit have one label under every permutation, so they say nothing and are left out.
Contrast contrast_of(const Blocks& blocks, const std::vector<std::size_t>& label_of_unit) {
  double within = 0, within_pairs = 0, between = 0, between_pairs = 0;
  for (std::size_t u = 0; u < blocks.units; ++u)
    for (std::size_t v = u + 1; v < blocks.units; ++v) {
      const std::size_t at = u * blocks.units + v;
      const bool same = label_of_unit[u] == label_of_unit[v];
      (same ? within : between) += blocks.sums[at];
      (same ? within_pairs : between_pairs) += blocks.count[at];
    }
  Contrast contrast;
  contrast.within = within_pairs > 0 ? within / within_pairs : kNone;
  contrast.between = between_pairs > 0 ? between / between_pairs : kNone;
  contrast.difference = contrast.within - contrast.between;
  return contrast;
}

// Models of one unit and one label are one unit; without units each model is.
std::vector<std::size_t> units_of(std::span<const std::string> labels,
                                  const std::vector<std::string>& units) {
  std::vector<std::pair<std::string, std::string>> keys;
  for (std::size_t i = 0; i < labels.size(); ++i)
    keys.emplace_back(units.empty() ? std::to_string(i) : units[i], labels[i]);
  return numbered(std::span<const std::pair<std::string, std::string>>(keys));
}

double share_at_least(std::int64_t count, std::int64_t permutations) {
  return static_cast<double>(1 + count) / static_cast<double>(1 + permutations);
}

}  // namespace

double accuracy(std::span<const std::size_t> clusters, std::span<const std::string> labels) {
  const Contingency table = contingency(numbered(clusters), numbered(labels));
  return static_cast<double>(best_assignment(table.counts, table.rows, table.columns)) /
         static_cast<double>(labels.size());
}

double adjusted_rand(std::span<const std::size_t> clusters, std::span<const std::string> labels) {
  return rand_index(contingency(numbered(clusters), numbered(labels)), labels.size());
}

double silhouette(std::span<const double> cosines, std::span<const std::string> labels) {
  const std::vector<std::size_t> label = numbered(labels);
  const std::size_t n = labels.size(), all = kinds(label);
  if (all < 2) return kNone;
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> distance(all), count(all);
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      distance[label[j]] += 1 - cosines[i * n + j];
      count[label[j]] += 1;
    }
    if (count[label[i]] == 0) continue;
    const double own = distance[label[i]] / count[label[i]];
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t l = 0; l < all; ++l)
      if (l != label[i]) nearest = std::min(nearest, distance[l] / count[l]);
    const double larger = std::max(own, nearest);
    sum += larger > 0 ? (nearest - own) / larger : 0;
  }
  return sum / static_cast<double>(n);
}

Contrast contrast(std::span<const double> cosines, std::span<const std::string> labels) {
  return contrast_of(blocks_of(cosines, units_of(labels, {})), numbered(labels));
}

LabelTest test_labels(std::span<const double> cosines,
                      const Clusters& clusters,
                      std::span<const std::string> labels,
                      const TestOptions& options) {
  const Blocks blocks = blocks_of(cosines, units_of(labels, options.units));
  const std::vector<std::size_t> label = numbered(labels);
  std::vector<std::size_t> of_unit(blocks.units);
  for (std::size_t i = 0; i < label.size(); ++i) of_unit[blocks.of[i]] = label[i];

  LabelTest test;
  test.contrast = contrast_of(blocks, of_unit);
  test.accuracy = accuracy(clusters.of, labels);
  test.rand_index = rand_index(contingency(clusters.of, label), label.size());
  test.silhouette = silhouette(cosines, labels);
  test.permutations = options.permutations;
  std::int64_t contrasts = 0, indices = 0;
  std::vector<std::size_t> shuffled(label.size()), moved(blocks.units);
  for (std::int64_t p = 0; p < options.permutations; ++p) {
    const std::vector<std::uint32_t> order =
        permutation(static_cast<std::uint32_t>(blocks.units),
                    Stream(options.seed, StreamId::labels, static_cast<std::uint64_t>(p)));
    for (std::size_t u = 0; u < blocks.units; ++u) moved[u] = of_unit[order[u]];
    for (std::size_t i = 0; i < label.size(); ++i) shuffled[i] = moved[blocks.of[i]];
    const double difference = contrast_of(blocks, moved).difference;
    // Where a difference is none, none is below another.
    if (!(difference < test.contrast.difference - kRounding)) ++contrasts;
    const double index = rand_index(contingency(clusters.of, shuffled), label.size());
    if (!(index < test.rand_index - kRounding)) ++indices;
  }
  test.contrast_p = share_at_least(contrasts, options.permutations);
  test.rand_p = share_at_least(indices, options.permutations);
  return test;
}

}  // namespace ration::region
