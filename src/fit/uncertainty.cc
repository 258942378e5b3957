#include "fit/uncertainty.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace ration::fit {
namespace {

using Eigen::Index;

// How curved the objective is expected to be at each row, in units of its weight: the chance that
// its residual falls inside the knee. By a normal kernel around each residual (Powell's estimator
// for quantile regression), of Silverman's width, so that rows with large residuals count less, as
// their noise is larger.
std::vector<double> expected_curvature(const std::vector<double>& r, double delta, double n_runs) {
  std::vector<double> sorted = r;
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<double>(r.size());
  const auto at = [&](double share) { return sorted[static_cast<std::size_t>(share * (n - 1))]; };
  const double width =
      std::max(0.9 * (at(0.75) - at(0.25)) / 1.349 * std::pow(n_runs, -0.2), 1e-300);
  std::vector<double> curvature;
  const double root = width * std::sqrt(2.0);
  for (const double value : r)
    curvature.push_back(
        std::isinf(delta)
            ? 1
            : (std::erf((value + delta) / root) - std::erf((value - delta) / root)) / 2);
  return curvature;
}

// (X'X)^-1 by a QR factorisation of X; infinite where X has no full rank.
Eigen::MatrixXd inverse_gram(const Eigen::MatrixXd& x) {
  const Index p = x.cols();
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(x);
  if (qr.rank() < p) return Eigen::MatrixXd::Constant(p, p, HUGE_VAL);
  const Eigen::MatrixXd upper = qr.matrixR().topLeftCorner(p, p);
  const Eigen::MatrixXd root =
      qr.colsPermutation() *
      Eigen::MatrixXd(upper.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(p, p)));
  return root * root.transpose();
}

std::vector<Index> inner_coordinates(const Problem& problem, const Coordinates& x) {
  constexpr double kOnBound = 1e-9;
  std::vector<Index> inner;
  for (std::size_t j = 0; j < x.size(); ++j)
    if (x[j] > problem.lower[j] + kOnBound && x[j] < problem.upper[j] - kOnBound)
      inner.push_back(static_cast<Index>(j));
  return inner;
}

}  // namespace

StandardErrors standard_errors(const Problem& problem,
                               const Coordinates& x,
                               const std::vector<std::size_t>& cell_of) {
  const auto n = static_cast<Index>(problem.rows());
  Eigen::MatrixXd jacobian(n, static_cast<Index>(x.size()));
  std::vector<double> r(problem.rows());
  problem.law.evaluate(
      x, problem.points, r, {jacobian.data(), static_cast<std::size_t>(jacobian.size())});
  StandardErrors errors{std::vector<double>(x.size(), 0.0), std::vector<double>(x.size(), 0.0)};
  const std::vector<Index> inner = inner_coordinates(problem, x);
  const auto p = static_cast<Index>(inner.size());
  const double runs = problem.total_weight();
  if (p == 0 || runs <= static_cast<double>(p)) {
    std::fill(errors.sandwich.begin(), errors.sandwich.end(), HUGE_VAL);
    errors.least_squares = errors.sandwich;
    return errors;
  }
  // Columns are scaled before the factorisation: parameters trade off over six orders.
  const Eigen::MatrixXd unscaled = jacobian(Eigen::all, inner);
  const Eigen::VectorXd scale = unscaled.colwise().norm().cwiseMax(1e-300).cwiseInverse();
  const Eigen::MatrixXd used = unscaled * scale.asDiagonal();
  for (std::size_t i = 0; i < r.size(); ++i) r[i] -= problem.log_loss[i];
  const std::vector<double> curvature = expected_curvature(r, problem.delta, runs);
  // Scores are added up within a setting, whose runs are drawn together too: rows that say the same
  // twice at half the weight then change nothing.
  const std::size_t cells = 1 + *std::max_element(cell_of.begin(), cell_of.end());
  Eigen::MatrixXd pulls = Eigen::MatrixXd::Zero(static_cast<Index>(cells), p);
  Eigen::MatrixXd curved = used, weighted = used;
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const double weight = problem.weight(row, r[row]);
    pulls.row(static_cast<Index>(cell_of[row])) +=
        weight * huber_slope(r[row], problem.delta) * used.row(i);
    curved.row(i) *= std::sqrt(weight * curvature[row]);
    weighted.row(i) *= std::sqrt(weight);
    squares += weight * r[row] * r[row];
  }
  const Eigen::MatrixXd bread = inverse_gram(curved);
  const Eigen::MatrixXd sandwich =
      std::isfinite(bread(0, 0)) ? Eigen::MatrixXd(bread * (pulls.transpose() * pulls) * bread)
                                 : bread;
  const Eigen::MatrixXd inverse = inverse_gram(weighted);
  const double variance = squares / (runs - static_cast<double>(p));
  for (Index k = 0; k < p; ++k) {
    const auto j = static_cast<std::size_t>(inner[static_cast<std::size_t>(k)]);
    errors.sandwich[j] = scale[k] * std::sqrt(sandwich(k, k));
    errors.least_squares[j] = scale[k] * std::sqrt(variance * inverse(k, k));
  }
  return errors;
}

double share_inside_knee(const Problem& problem, const Coordinates& x) {
  const std::vector<double> r = residuals(problem, x);
  const auto inside = std::count_if(
      r.begin(), r.end(), [&](double value) { return std::abs(value) <= problem.delta; });
  return static_cast<double>(inside) / static_cast<double>(r.size());
}

double two_sided_quantile(double probability) {
  double low = 0, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erf(middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return low;
}

std::vector<double> profile(const Problem& problem,
                            const std::vector<Minimum>& minima,
                            std::size_t j,
                            std::span<const double> values) {
  const auto lowest_at = [&](double value, const std::vector<Coordinates>& starts) {
    Problem held = problem;
    held.lower[j] = held.upper[j] = value;
    Minimum lowest;
    for (const Coordinates& start : starts) {
      Minimum minimum = minimise(held, start);
      if (minimum.objective < lowest.objective) lowest = std::move(minimum);
    }
    return lowest;
  };
  std::vector<Coordinates> starts;
  for (const Minimum& minimum : minima) starts.push_back(minimum.x);
  std::vector<Minimum> found(values.size());
  for (std::size_t k = 0; k < values.size(); ++k) found[k] = lowest_at(values[k], starts);
  // A neighbour's solution may lie in a better basin: once up and once down.
  const auto learn = [&](std::size_t k, std::size_t from) {
    if (found[from].x.empty()) return;
    Minimum other = lowest_at(values[k], {found[from].x});
    if (other.objective < found[k].objective) found[k] = std::move(other);
  };
  for (std::size_t k = 1; k < found.size(); ++k) learn(k, k - 1);
  for (std::size_t k = found.size(); k-- > 1;) learn(k - 1, k);
  std::vector<double> objectives;
  for (const Minimum& minimum : found) objectives.push_back(minimum.objective);
  return objectives;
}

}  // namespace ration::fit
