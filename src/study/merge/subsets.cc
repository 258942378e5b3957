#include "study/merge/subsets.h"

#include <algorithm>
#include <set>

#include "base/random.h"

namespace ration::study {
namespace {

// How many subsets there are; stops counting beyond `limit`.
std::int64_t choices(std::int64_t n, std::int64_t k, std::int64_t limit) {
  std::int64_t count = 1;
  for (std::int64_t i = 1; i <= k; ++i) {
    count = count * (n - k + i) / i;  // whole at every step
    if (count > limit) return limit + 1;
  }
  return count;
}

using Places = std::vector<std::size_t>;

// All of them, in lexicographic order.
std::vector<Places> all_subsets(std::size_t n, std::size_t k) {
  std::vector<Places> all;
  Places places(k);
  for (std::size_t i = 0; i < k; ++i) places[i] = i;
  while (true) {
    all.push_back(places);
    std::size_t i = k;
    while (i > 0 && places[i - 1] == n - k + i - 1) --i;
    if (i == 0) return all;
    ++places[i - 1];
    for (std::size_t j = i; j < k; ++j) places[j] = places[j - 1] + 1;
  }
}

std::vector<Places> drawn_subsets(std::size_t n,
                                  std::size_t k,
                                  std::size_t count,
                                  std::uint64_t seed) {
  std::set<Places> seen;
  std::vector<Places> drawn;
  Stream stream(seed, StreamId::subsets, k);
  while (drawn.size() < count) {
    Places places(n);
    for (std::size_t i = 0; i < n; ++i) places[i] = i;
    for (std::size_t i = 0; i < k; ++i)
      std::swap(places[i], places[i + static_cast<std::size_t>(stream.below(n - i))]);
    places.resize(k);
    std::sort(places.begin(), places.end());
    if (seen.insert(places).second) drawn.push_back(places);
  }
  return drawn;
}

}  // namespace

std::vector<MergeSubset> merge_subsets(std::span<const std::size_t> corpora,
                                       std::span<const std::int64_t> sizes,
                                       std::int64_t count,
                                       std::uint64_t seed) {
  std::vector<MergeSubset> subsets;
  const auto n = static_cast<std::int64_t>(corpora.size());
  for (const std::int64_t size : sizes) {
    if (size > n || size < 1) continue;
    const bool all = choices(n, size, count) <= count;
    std::vector<Places> found = all ? all_subsets(corpora.size(), static_cast<std::size_t>(size))
                                    : drawn_subsets(corpora.size(),
                                                    static_cast<std::size_t>(size),
                                                    static_cast<std::size_t>(count),
                                                    seed);
    for (std::size_t number = 0; number < found.size(); ++number) {
      MergeSubset subset{.size = size, .number = number, .corpora = {}};
      for (const std::size_t place : found[number]) subset.corpora.push_back(corpora[place]);
      subsets.push_back(std::move(subset));
    }
  }
  return subsets;
}

}  // namespace ration::study
