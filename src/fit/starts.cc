#include "fit/starts.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>

namespace ration::fit {
namespace {

// Published exponents lie between 0.05 and 0.8; the grid is denser there.
constexpr std::array<double, 10> kExponents = {
    0.03, 0.08, 0.15, 0.22, 0.3, 0.4, 0.55, 0.8, 1.2, 2.0};

using Columns =
    Eigen::Matrix<double, Eigen::Dynamic, 3>;  // E, A, B terms, each divided by the loss

// Least squares of columns * c = 1 with c >= 0, by gram = columns' columns and right = columns' 1:
// the best of all sets of columns whose solution is positive.
Eigen::VectorXd solve_nonnegative(const Eigen::MatrixXd& gram, const Eigen::VectorXd& right) {
  Eigen::VectorXd best = Eigen::VectorXd::Zero(right.size());
  double best_gain = 0;  // the fall of the squared error against c = 0
  for (unsigned set = 1; set < 1U << right.size(); ++set) {
    std::vector<int> used;
    for (int k = 0; k < right.size(); ++k)
      if ((set >> k & 1U) != 0) used.push_back(k);
    const Eigen::MatrixXd part = gram(used, used);
    const Eigen::VectorXd aim = right(used);
    const Eigen::VectorXd solution = part.ldlt().solve(aim);
    const double gain = 2 * solution.dot(aim) - solution.dot(part * solution);
    if (!(solution.array() > 0).all() || !(gain > best_gain)) continue;
    best_gain = gain;
    best.setZero();
    for (std::size_t k = 0; k < used.size(); ++k)
      best[used[k]] = solution[static_cast<Eigen::Index>(k)];
  }
  return best;
}

// A term that the linear solve leaves out starts small rather than absent, so that a descent can
// grow it.
double log_or_small(double coefficient) {
  constexpr double kSmall = 0.3;  // of the observed loss
  return std::log(std::max(coefficient, kSmall));
}

struct Powers {
  std::vector<Eigen::VectorXd> columns;  // (x / smallest x)^-exponent / loss, one for each exponent
  double log_smallest = 0;
};

Powers powers(std::span<const double> log_x, const Eigen::VectorXd& inverse_loss) {
  Powers result;
  const Eigen::Map<const Eigen::ArrayXd> x(log_x.data(), static_cast<Eigen::Index>(log_x.size()));
  result.log_smallest = x.minCoeff();
  for (const double exponent : kExponents)
    result.columns.emplace_back(
        (-exponent * (x - result.log_smallest)).exp().matrix().cwiseProduct(inverse_loss));
  return result;
}

}  // namespace

Coordinates TermStart::coordinates(bool tied) const {
  Coordinates x = {terms.log_a, terms.log_b, terms.log_e, terms.alpha};
  if (!tied) x.push_back(terms.beta);
  return x;
}

std::vector<TermStart> exponent_starts(std::span<const double> log_params,
                                       std::span<const double> log_tokens,
                                       std::span<const double> log_loss,
                                       bool tied) {
  const auto n = static_cast<Eigen::Index>(log_loss.size());
  const Eigen::VectorXd inverse_loss =
      (-Eigen::Map<const Eigen::ArrayXd>(log_loss.data(), n)).exp().matrix();
  const Powers by_params = powers(log_params, inverse_loss);
  const Powers by_tokens = powers(log_tokens, inverse_loss);

  std::vector<TermStart> starts;
  Columns columns(n, 3);
  columns.col(0) = inverse_loss;
  for (std::size_t i = 0; i < kExponents.size(); ++i) {
    columns.col(1) = by_params.columns[i];
    for (std::size_t j = tied ? i : 0; j < (tied ? i + 1 : kExponents.size()); ++j) {
      columns.col(2) = by_tokens.columns[j];
      const Eigen::Vector3d right = columns.colwise().sum().transpose();
      const Eigen::VectorXd c = solve_nonnegative(columns.transpose() * columns, right);
      const double error = (columns * c - Eigen::VectorXd::Ones(n)).squaredNorm();
      const BaseTerms terms = {log_or_small(c[1]) + kExponents[i] * by_params.log_smallest,
                               log_or_small(c[2]) + kExponents[j] * by_tokens.log_smallest,
                               log_or_small(c[0]),
                               kExponents[i],
                               kExponents[j]};
      starts.push_back({terms, error});
    }
  }
  std::stable_sort(starts.begin(), starts.end(), [](const TermStart& x, const TermStart& y) {
    return x.squared_error < y.squared_error;
  });
  return starts;
}

LinearStart linear_start(std::span<const std::vector<double>> log_columns,
                         std::span<const double> log_target) {
  const auto n = static_cast<Eigen::Index>(log_target.size());
  const auto terms = static_cast<Eigen::Index>(log_columns.size());
  const Eigen::Map<const Eigen::ArrayXd> target(log_target.data(), n);
  Eigen::MatrixXd columns(n, terms);
  Eigen::VectorXd shift(terms);  // of ln: every column then peaks at the target
  for (Eigen::Index k = 0; k < terms; ++k) {
    const Eigen::Map<const Eigen::ArrayXd> column(log_columns[static_cast<std::size_t>(k)].data(),
                                                  n);
    const Eigen::ArrayXd ratio = column - target;
    shift[k] = std::isfinite(ratio.maxCoeff()) ? ratio.maxCoeff() : 0;
    columns.col(k) = (ratio - shift[k]).exp().matrix();
  }
  const Eigen::VectorXd right = columns.colwise().sum().transpose();
  const Eigen::VectorXd c = solve_nonnegative(columns.transpose() * columns, right);
  LinearStart start;
  for (Eigen::Index k = 0; k < terms; ++k)
    start.log_scales.push_back(log_or_small(c[k]) - shift[k]);
  start.squared_error = (columns * c - Eigen::VectorXd::Ones(n)).squaredNorm();
  return start;
}

}  // namespace ration::fit
