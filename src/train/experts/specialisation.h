#pragma once

// Whether experts have specialised: numbers of routing weights by the source of what was routed. In
// plain doubles, without a model.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ration::train::experts {

// Weights of N routed units over E experts, by sequence: units of one sequence belong together.
struct RoutedUnits {
  std::int64_t experts = 0;             // E
  std::vector<double> weights;          // [N,E], rows of sum 1: what computes
  std::vector<double> soft;             // [N,E], p of routers that choose by it; empty: weights
  std::vector<std::int64_t> sources;    // [N], from 0 on
  std::vector<std::int64_t> sequences;  // [N], any number that tells one from another

  std::size_t units() const { return sources.size(); }
  std::size_t units_of(std::int64_t source) const;
};

// Mean weights [E], of all units or of one source's; empty without such units.
std::vector<double> mean_weights(const RoutedUnits& units, std::int64_t source = -1);

// [H(mean p) - sum_s P(s) H(mean p | s)] / ln(number of sources): 0, the sources are routed alike,
// to 1, the experts tell them apart. NaN with fewer than two sources.
double normalised_information(const RoutedUnits& units);

// The part of `permutations` shuffles of the sequences' sources, the true order among them, whose
// information is at least the true one: (1 + count) / (1 + permutations).
double information_p_value(const RoutedUnits& units, std::int64_t permutations, std::uint64_t seed);

// Mean over units of H(p) / ln E: 0, the router is sure, to 1, all are alike to it. NaN without
// units, and with one expert.
double mean_entropy(const RoutedUnits& units);

// One expert has more than 90 % of all weight, and units are computed by one (mean entropy of the
// weights below 0.05). False without units.
bool is_collapsed(const RoutedUnits& units);
// Mean entropy of p above 0.98. False without units.
bool is_uniform(const RoutedUnits& units);

// What a source loses without an expert, nats a token, and the standard error of this number over
// its windows; NaN where it has a single one.
struct Increase {
  double mean = 0;
  double error = 0;
};

// Of increases [sources,E]: each source has an expert whose increase is more than 3 times the
// median of all and more than twice its standard error. Nothing where that cannot be asked: with
// fewer than three experts, whose median says nothing of the others, without sources, with a source
// of which nothing was routed (an empty row), or without errors.
std::optional<bool> misses_experts(const std::vector<std::vector<Increase>>& increases);

// That, by routers that are neither collapsed nor uniform.
std::optional<bool> is_specialised(const RoutedUnits& units,
                                   const std::vector<std::vector<Increase>>& increases);

}  // namespace ration::train::experts
