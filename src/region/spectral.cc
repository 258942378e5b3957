// Spectral clustering.

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "region/cluster.h"
#include "region/kmeans.h"

namespace ration::region {
namespace {

using Matrix = Eigen::MatrixXd;

Error refused(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

Result<void> check(std::span<const double> cosines, std::size_t n, std::size_t k) {
  if (n == 0 || n * n != cosines.size())
    return Error{.kind = ErrorKind::internal, .what = "the cosines are no square matrix"};
  if (k > n)
    return refused(fmt::format("{} are too few for {}", counted(n, "model"), counted(k, "cluster")),
                   "ask for fewer clusters");
  for (std::size_t i = 0; i < n; ++i)
    if (std::isnan(cosines[i * n + i]))
      return refused(
          fmt::format("model {} of {} equals its base, so it has no direction", i + 1, n),
          "leave it out");
  for (const double cosine : cosines)
    if (!std::isfinite(cosine)) return refused("a cosine is no number", "leave that model out");
  return {};
}

// The graph of those models that are similar to any other.
struct Graph {
  std::vector<std::size_t> nodes;  // models
  Matrix laplacian;                // normalised, of the nodes
};

Graph graph_of(std::span<const double> cosines, std::size_t n) {
  const auto similarity = [&](std::size_t i, std::size_t j) {
    return i == j ? 0 : std::max(0.0, cosines[i * n + j]);
  };
  Graph graph;
  std::vector<double> roots;  // of the nodes' degrees
  for (std::size_t i = 0; i < n; ++i) {
    double degree = 0;
    for (std::size_t j = 0; j < n; ++j) degree += similarity(i, j);
    if (!(degree > 0)) continue;
    graph.nodes.push_back(i);
    roots.push_back(std::sqrt(degree));
  }
  const auto size = static_cast<Eigen::Index>(graph.nodes.size());
  graph.laplacian = Matrix::Identity(size, size);
  for (std::size_t a = 0; a < roots.size(); ++a)
    for (std::size_t b = 0; b < roots.size(); ++b)
      graph.laplacian(static_cast<Eigen::Index>(a), static_cast<Eigen::Index>(b)) -=
          similarity(graph.nodes[a], graph.nodes[b]) / (roots[a] * roots[b]);
  return graph;
}

std::size_t largest_gap(const std::vector<double>& ascending) {
  std::size_t k = 1;
  for (std::size_t i = 1; i < ascending.size(); ++i)
    if (ascending[i] - ascending[i - 1] > ascending[k] - ascending[k - 1]) k = i;
  return k;
}

// The rows of the first `k` eigenvectors, each at length 1.
std::vector<double> rows_of(const Matrix& vectors, std::size_t k) {
  std::vector<double> rows;
  for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
    const auto row = vectors.row(i).head(static_cast<Eigen::Index>(k));
    const double length = row.norm();
    for (Eigen::Index j = 0; j < row.size(); ++j) rows.push_back(length > 0 ? row[j] / length : 0);
  }
  return rows;
}

// Numbers by first member; how many there are.
std::size_t renumber(std::vector<std::size_t>& of) {
  std::map<std::size_t, std::size_t> numbers;
  for (std::size_t& cluster : of)
    cluster = numbers.try_emplace(cluster, numbers.size()).first->second;
  return numbers.size();
}

}  // namespace

Result<Clusters> spectral(std::span<const double> cosines, std::size_t k, std::uint64_t seed) {
  const auto n =
      static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(cosines.size()))));
  if (Result<void> usable = check(cosines, n, k); !usable) return std::move(usable).error();
  const Graph graph = graph_of(cosines, n);
  const std::size_t nodes = graph.nodes.size(), alone = n - nodes;
  Clusters clusters;
  clusters.eigenvalues.assign(alone, 0.0);  // each a component of its own
  Eigen::SelfAdjointEigenSolver<Matrix> solver;
  if (nodes > 0) {
    solver.compute(graph.laplacian);
    if (solver.info() != Eigen::Success)
      return Error{.kind = ErrorKind::internal, .what = "the eigenvalues were not found"};
    for (const double value : solver.eigenvalues())
      clusters.eigenvalues.push_back(std::max(0.0, value));
  }
  clusters.largest_gap = largest_gap(clusters.eigenvalues);
  const std::size_t wanted = k == 0 ? clusters.largest_gap : k;

  clusters.of.resize(n);
  for (std::size_t i = 0; i < n; ++i) clusters.of[i] = n + i;  // alone, unless it is a node
  if (nodes > 0) {
    const std::size_t of_nodes = wanted > alone ? wanted - alone : 1;
    const std::vector<double> rows = rows_of(solver.eigenvectors(), of_nodes);
    const std::vector<std::size_t> found = k_means(rows, of_nodes, of_nodes, seed);
    for (std::size_t a = 0; a < nodes; ++a) clusters.of[graph.nodes[a]] = found[a];
  }
  clusters.k = renumber(clusters.of);
  return clusters;
}

}  // namespace ration::region
