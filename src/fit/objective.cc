#include "fit/objective.h"

#include <limits>
#include <numeric>

namespace ration::fit {

Problem make_problem(const Law& law,
                     const Points& points,
                     std::span<const double> log_loss,
                     std::span<const double> weights,
                     double delta) {
  Problem problem{law, points, log_loss, weights, delta, {}, {}, 1};
  for (const Parameter& parameter : law.parameters()) {
    problem.lower.push_back(parameter.lower);
    problem.upper.push_back(parameter.upper);
  }
  return problem;
}

std::vector<double> residuals(const Problem& problem, std::span<const double> x) {
  std::vector<double> r(problem.rows());
  problem.law.evaluate(x, problem.points, r, {});
  for (std::size_t i = 0; i < r.size(); ++i) r[i] -= problem.log_loss[i];
  return r;
}

double Problem::total_weight() const {
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

double objective(const Problem& problem, std::span<const double> x) {
  double sum = 0;
  const std::vector<double> r = residuals(problem, x);
  for (std::size_t i = 0; i < r.size(); ++i)
    if (problem.weights[i] > 0) sum += problem.loss(i, r[i]);
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

}  // namespace ration::fit
