#include "fit/search.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "base/random.h"

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

// Joins what stands in one place, as least squares leaves most starts that were far off: they would
// go on alike. The first of them stays; `starts_of` counts.
void join(std::vector<Minimum>& found, std::vector<int>& starts_of) {
  constexpr double kSameSquares = 1e-3;  // relative
  constexpr double kSamePlace = 1e-2;
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return found[a].objective < found[b].objective;
  });
  const auto together = [&](const Minimum& a, const Minimum& b) {
    for (std::size_t j = 0; j < a.x.size(); ++j)
      if (std::abs(a.x[j] - b.x[j]) > kSamePlace) return false;
    return true;
  };
  std::vector<bool> gone(found.size(), false);
  for (std::size_t k = 0; k < order.size(); ++k) {
    const Minimum& first = found[order[k]];
    if (gone[order[k]] || first.iterations == 0) continue;
    for (std::size_t l = k + 1; l < order.size(); ++l) {
      const Minimum& other = found[order[l]];
      if (!(other.objective <= first.objective * (1 + kSameSquares))) break;
      if (gone[order[l]] || other.iterations == 0 || !together(first, other)) continue;
      gone[order[l]] = true;
      starts_of[order[k]] += starts_of[order[l]];
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (gone[i]) continue;
    starts_of[kept] = starts_of[i];
    if (kept != i) found[kept] = std::move(found[i]);
    ++kept;
  }
  found.resize(kept);
  starts_of.resize(kept);
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

double near_minimum_ratio(double runs, bool least_squares) {
  return std::exp(3.84 / (least_squares ? 1 : 2) / runs);
}

SearchResult search(const Problem& problem, const std::vector<Coordinates>& starts, int threads) {
  std::vector<Minimum> found(starts.size());
  parallel_for(
      starts.size(), threads, [&](std::size_t i) { found[i] = approach(problem, starts[i]); });
  std::vector<int> starts_of(found.size(), 1);  // that end in each
  join(found, starts_of);
  // After least squares, and after the descent, no step lowers an objective by more than these
  // factors: what lies higher cannot become the best.
  constexpr double kHopelessBefore = 2.5;
  constexpr double kHopelessAfter = 2;
  // Losses without noise: below this the residuals are those of rounding, 1e-10 of the loss.
  const double exact = problem.total_weight() * 1e-20 / 2;
  const double near = near_minimum_ratio(problem.total_weight(), std::isinf(problem.delta));
  const auto worth = [&](double factor) {
    double lowest = HUGE_VAL;
    for (const Minimum& m : found)
      if (m.stop != Stop::not_finite) lowest = std::min(lowest, m.objective);
    return std::max(lowest, exact) * std::max(factor, near);
  };
  const double worth_descending = worth(kHopelessBefore);
  parallel_for(found.size(), threads, [&](std::size_t i) {
    const bool by_least_squares = found[i].iterations > 0;
    if (!by_least_squares || found[i].objective <= worth_descending) descend(problem, found[i]);
  });
  const double worth_finishing = worth(kHopelessAfter);
  parallel_for(found.size(), threads, [&](std::size_t i) {
    if (found[i].objective <= worth_finishing) finish(problem, found[i]);
  });

  // The best of all may need more steps than are spent on each.
  constexpr int kMoreRounds = 20;
  const auto best_of = [](const Minimum& a, const Minimum& b) { return a.objective < b.objective; };
  for (int round = 0; round < kMoreRounds; ++round) {
    Minimum& lowest = *std::min_element(found.begin(), found.end(), best_of);
    if (lowest.stop != Stop::iterations) break;
    finish(problem, lowest);
  }

  SearchResult result;
  result.report.starts = static_cast<int>(starts.size());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i].stop != Stop::not_finite)
      order.push_back(i);
    else
      result.report.failed += starts_of[i];
  if (order.empty()) return result;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return found[a].objective < found[b].objective;
  });

  const Minimum& best = found[order.front()];
  const double reached = std::max(best.objective, exact);
  const double limit = reached * near;
  for (const std::size_t i : order) {
    const Minimum& minimum = found[i];
    if (minimum.objective <= reached * (1 + kSameObjective)) result.report.agree += starts_of[i];
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
