#pragma once

// Whether models cluster by what they were trained on: spectral clustering of cosines, and tests
// whose null permutes labels.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace ration::region {

struct Clusters {
  std::vector<std::size_t> of;      // cluster of each model, 0 … k - 1, numbered by first member
  std::vector<double> eigenvalues;  // of the normalised Laplacian, ascending
  std::size_t k = 0;
  std::size_t largest_gap = 0;  // the k that the largest gap of eigenvalues asks for
};

// Spectral clustering (Ng, Jordan, Weiss 2002) of `cosines` [n, n] into k clusters: similarity
// max(0, cos), normalised Laplacian, rows of its k first eigenvectors at length 1, k-means with 50
// seeded starts. k = 0 takes the largest gap. A model with similarity 0 to all others is a cluster
// of its own, with eigenvalue 0; there may be more than k of these, and fewer clusters than k where
// models coincide: Clusters::k is the number found. ErrorKind::input: NaN (a model that equals its
// base, named by number), k > n.
Result<Clusters> spectral(std::span<const double> cosines, std::size_t k, std::uint64_t seed);

// How well clusters match labels. `labels` are any words, one a model. Accuracy is the share of
// models that the best one-to-one map of clusters to labels puts right; the index is 1 for equal
// partitions and 0 on average for random ones (Hubert and Arabie 1985).
double accuracy(std::span<const std::size_t> clusters, std::span<const std::string> labels);
double adjusted_rand(std::span<const std::size_t> clusters, std::span<const std::string> labels);
// Mean silhouette of the labels on 1 - cos (Rousseeuw 1987); the only member of a label counts 0.
// NaN where all have one label.
double silhouette(std::span<const double> cosines, std::span<const std::string> labels);

// Mean cosine within labels and between them. NaN where no pair is of that kind.
struct Contrast {
  double within = 0;
  double between = 0;
  double difference = 0;
};
Contrast contrast(std::span<const double> cosines, std::span<const std::string> labels);

struct LabelTest {
  Contrast contrast;
  double contrast_p = 1;  // (1 + #{difference* >= difference}) / (1 + permutations)
  double accuracy = 0;
  double rand_index = 0;
  double rand_p = 1;  // of the index, the clusters as they are
  double silhouette = 0;
  std::int64_t permutations = 0;
};

struct TestOptions {
  std::int64_t permutations = 10'000;
  std::uint64_t seed = 0;
  // Models of one unit move together (all models of a corpus, when labels are families): permuting
  // models instead would make p far too small. Pairs within a unit are left out of the contrast,
  // for no permutation parts them. Models of one unit share a label; those that do not are units
  // apart. Empty: each model is its own unit.
  std::vector<std::string> units;
};

// p is 1 where no pair shares a label, or none differs in it.
LabelTest test_labels(std::span<const double> cosines,
                      const Clusters& clusters,
                      std::span<const std::string> labels,
                      const TestOptions& options);

}  // namespace ration::region
