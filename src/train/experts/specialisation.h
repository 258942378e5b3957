#pragma once

// Whether experts have specialised: numbers of routing weights by the source of what was routed. In
// plain doubles, without a model.

#include <cstdint>
#include <vector>

namespace ration::train::experts {

// Weights of N routed units over E experts, by sequence: units of one sequence belong together.
struct RoutedUnits {
  std::int64_t experts = 0;             // E
  std::vector<double> weights;          // [N,E], rows of sum 1
  std::vector<std::int64_t> sources;    // [N], from 0 on
  std::vector<std::int64_t> sequences;  // [N], any number that tells one from another

  std::size_t units() const { return sources.size(); }
};

// Mean weights [E], of all units or of one source's.
std::vector<double> mean_weights(const RoutedUnits& units, std::int64_t source = -1);

// [H(mean p) - sum_s P(s) H(mean p | s)] / ln(number of sources): 0, the sources are routed alike,
// to 1, the experts tell them apart. NaN with fewer than two sources.
double normalised_information(const RoutedUnits& units);

// The part of `permutations` shuffles of the sequences' sources, the true order among them, whose
// information is at least the true one: (1 + count) / (1 + permutations).
double information_p_value(const RoutedUnits& units, std::int64_t permutations, std::uint64_t seed);

// Mean over units of H(p) / ln E: 0, one expert computes, to 1, all alike. 0 with one expert.
double mean_entropy(const RoutedUnits& units);

// One expert has more than 90 % of all weight, and units are sure of it (mean entropy below 0.05).
bool is_collapsed(const RoutedUnits& units);
// Mean entropy above 0.98.
bool is_uniform(const RoutedUnits& units);

// Of increases of loss [sources,E] when an expert is left out: each source has one whose increase
// is more than 3 times its median.
bool is_specialised(const std::vector<std::vector<double>>& increases);

}  // namespace ration::train::experts
