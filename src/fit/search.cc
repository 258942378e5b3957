#include "fit/search.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "fit/parallel.h"

namespace ration::fit {
namespace {

constexpr double kSameObjective = 1e-8;  // relative

// Two ends of one basin: equal objectives, or coordinates that differ by rounding alone.
bool same(const Minimum& a, const Minimum& b) {
  if (b.objective <= a.objective * (1 + kSameObjective)) return true;
  constexpr double kSameCoordinate = 1e-4;
  for (std::size_t j = 0; j < a.x.size(); ++j)
    if (std::abs(a.x[j] - b.x[j]) > kSameCoordinate) return false;
  return true;
}

// Ratio of the extreme eigenvalues of J'J over the coordinates that are not held.
double condition(const Problem& problem, const Coordinates& x) {
  using Eigen::Index;
  const auto n = static_cast<Index>(problem.rows());
  Eigen::MatrixXd jacobian(n, static_cast<Index>(x.size()));
  std::vector<double> log_loss(problem.rows());
  problem.law.evaluate(
      x, problem.points, log_loss, {jacobian.data(), static_cast<std::size_t>(jacobian.size())});
  std::vector<Index> free;
  for (std::size_t j = 0; j < x.size(); ++j)
    if (problem.lower[j] < problem.upper[j]) free.push_back(static_cast<Index>(j));
  if (free.empty()) return 1;
  const Eigen::MatrixXd used = jacobian(Eigen::all, free);
  const Eigen::VectorXd singular = used.jacobiSvd().singularValues();
  const double ratio = singular.maxCoeff() / singular.minCoeff();
  return std::isfinite(ratio) ? ratio * ratio : HUGE_VAL;
}

}  // namespace

double near_minimum_ratio(std::size_t runs) {
  return std::exp(3.84 / 2 / static_cast<double>(runs));
}

SearchResult search(const Problem& problem, int threads) {
  const std::vector<Coordinates> starts = problem.law.starts(problem.points, problem.log_loss);
  std::vector<Minimum> found(starts.size());
  parallel_for(
      starts.size(), threads, [&](std::size_t i) { found[i] = descend(problem, starts[i]); });

  // A descent ends well within this factor of its minimum; what lies higher cannot become the best.
  constexpr double kHopeless = 2;
  double lowest = HUGE_VAL;
  for (const Minimum& m : found)
    if (m.stop != Stop::not_finite) lowest = std::min(lowest, m.objective);
  const double worth = lowest * std::max(kHopeless, near_minimum_ratio(problem.rows()));
  parallel_for(found.size(), threads, [&](std::size_t i) {
    if (found[i].objective <= worth) finish(problem, found[i]);
  });

  SearchResult result;
  result.report.starts = static_cast<int>(found.size());
  const auto failed = std::stable_partition(
      found.begin(), found.end(), [](const Minimum& m) { return m.stop != Stop::not_finite; });
  result.report.failed = static_cast<int>(found.end() - failed);
  found.erase(failed, found.end());
  if (found.empty()) return result;
  std::stable_sort(found.begin(), found.end(), [](const Minimum& a, const Minimum& b) {
    return a.objective < b.objective;
  });

  const Minimum& best = found.front();
  const double limit = best.objective * near_minimum_ratio(problem.rows());
  for (const Minimum& minimum : found) {
    if (minimum.objective <= best.objective * (1 + kSameObjective)) ++result.report.agree;
    if (minimum.objective > limit) break;
    const bool known = std::any_of(result.minima.begin(),
                                   result.minima.end(),
                                   [&](const Minimum& other) { return same(other, minimum); });
    const bool usable = minimum.stop == Stop::converged || result.minima.empty();
    if (!known && usable) result.minima.push_back(minimum);
  }
  result.report.stopped = describe(best.stop);
  result.report.promised_fall = best.promised_fall;
  result.report.condition = condition(problem, best.x);
  return result;
}

std::vector<Coordinates> bootstrap(const Problem& problem,
                                   const std::vector<Minimum>& minima,
                                   const std::vector<std::size_t>& cell_of,
                                   std::size_t cells,
                                   const Options& options) {
  constexpr std::size_t kMaxStarts = 4;
  const std::size_t starts = std::min(minima.size(), kMaxStarts);
  std::vector<Coordinates> draws(static_cast<std::size_t>(std::max(options.resamples, 0)));
  parallel_for(draws.size(), options.threads, [&](std::size_t k) {
    std::vector<double> copies(cells, 0.0);
    Stream stream(options.seed, StreamId::bootstrap, k);
    for (std::size_t draw = 0; draw < cells; ++draw) ++copies[stream.below(cells)];
    std::vector<double> weights(problem.rows());
    for (std::size_t i = 0; i < weights.size(); ++i)
      weights[i] = problem.weights[i] * copies[cell_of[i]];

    Problem resampled = problem;
    resampled.weights = weights;
    Minimum best;
    for (std::size_t s = 0; s < starts; ++s) {
      Minimum minimum = minimise(resampled, minima[s].x);
      if (s == 0 || minimum.objective < best.objective) best = std::move(minimum);
    }
    draws[k] = std::move(best.x);
  });
  return draws;
}

}  // namespace ration::fit
