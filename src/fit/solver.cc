#include "fit/solver.h"

#include <ceres/tiny_solver.h>

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>

namespace ration::fit {
namespace {

using Eigen::Index;
using Vector = Eigen::VectorXd;
using Matrix = Eigen::MatrixXd;

double clamped(const Problem& problem, std::size_t j, double value) {
  return std::clamp(value, problem.lower[j], problem.upper[j]);
}

std::vector<std::size_t> free_coordinates(const Problem& problem) {
  std::vector<std::size_t> free;
  for (std::size_t j = 0; j < problem.lower.size(); ++j)
    if (problem.lower[j] < problem.upper[j]) free.push_back(j);
  return free;
}

// The objective as a sum of squares of its free coordinates. Outside the bounds the law is
// evaluated on them.
class SquaresForm {
 public:
  using Scalar = double;
  enum { NUM_RESIDUALS = Eigen::Dynamic, NUM_PARAMETERS = Eigen::Dynamic };

  SquaresForm(const Problem& problem, Coordinates x, double scale)
      : problem_(problem),
        free_(free_coordinates(problem)),
        x_(std::move(x)),
        scale_(scale),
        log_loss_(problem.rows()),
        jacobian_(problem.rows() * problem.law.size()) {}

  int NumResiduals() const { return static_cast<int>(problem_.rows()); }
  int NumParameters() const { return static_cast<int>(free_.size()); }

  Coordinates full(const double* parameters) const {
    Coordinates x = x_;
    for (std::size_t k = 0; k < free_.size(); ++k)
      x[free_[k]] = clamped(problem_, free_[k], parameters[k]);
    return x;
  }

  bool operator()(const double* parameters, double* residuals, double* jacobian) const {
    const Coordinates x = full(parameters);
    const std::size_t n = problem_.rows();
    problem_.law.evaluate(
        x, problem_.points, log_loss_, jacobian == nullptr ? std::span<double>() : jacobian_);
    slope_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double r = log_loss_[i] - problem_.log_loss[i];
      const double root_weight = std::sqrt(problem_.weights[i]) * scale_;
      const double t = std::sqrt(2 * huber(r, problem_.delta));
      residuals[i] = root_weight * std::copysign(t, r);
      slope_[i] = root_weight *
                  (std::abs(r) <= problem_.delta ? 1 : problem_.delta / t);  // dt/dr = h'(r)/|t|
    }
    if (jacobian == nullptr) return true;
    for (std::size_t k = 0; k < free_.size(); ++k) {
      const std::size_t j = free_[k];
      const bool outside = parameters[k] < problem_.lower[j] || parameters[k] > problem_.upper[j];
      for (std::size_t i = 0; i < n; ++i)
        jacobian[k * n + i] = outside ? 0 : slope_[i] * jacobian_[j * n + i];
    }
    return true;
  }

 private:
  const Problem& problem_;
  std::vector<std::size_t> free_;
  Coordinates x_;
  double scale_;
  mutable std::vector<double> log_loss_;
  mutable std::vector<double> jacobian_;
  mutable std::vector<double> slope_;
};

// Lowers the objective from `minimum.x` with TinySolver. Its thresholds are absolute, so the
// residuals are scaled to make the objective 1 at the start of each round.
void lower(const Problem& problem, int iterations, Minimum& minimum) {
  constexpr int kRounds = 3;
  constexpr double kEnough = 1e-4;  // relative fall in a round below which Newton takes over
  const std::vector<std::size_t> free = free_coordinates(problem);
  for (int round = 0; round < kRounds && minimum.objective > 0; ++round) {
    const SquaresForm form(problem, minimum.x, 1 / std::sqrt(minimum.objective));
    ceres::TinySolver<SquaresForm> solver;
    solver.options.max_num_iterations = iterations;
    solver.options.gradient_tolerance = 1e-12;
    solver.options.function_tolerance = 1e-6;
    solver.options.parameter_tolerance = 1e-12;
    solver.options.cost_threshold = 0;
    Vector parameters(static_cast<Index>(free.size()));
    for (std::size_t k = 0; k < free.size(); ++k)
      parameters[static_cast<Index>(k)] = minimum.x[free[k]];
    solver.Solve(form, &parameters);
    minimum.iterations += solver.summary.iterations;
    const Coordinates x = form.full(parameters.data());
    const double reached = objective(problem, x);
    if (!(reached < minimum.objective)) return;
    const double fall = 1 - reached / minimum.objective;
    minimum.x = x;
    minimum.objective = reached;
    if (fall < kEnough) return;
  }
}

// Value, gradient and curvature of the objective at a point.
class Model {
 public:
  explicit Model(const Problem& problem)
      : problem_(problem),
        log_loss_(problem.rows()),
        jacobian_(static_cast<Index>(problem.rows()), static_cast<Index>(problem.law.size())),
        slope_(static_cast<Index>(problem.rows())) {}

  void update(const Coordinates& x) {
    problem_.law.evaluate(x, problem_.points, log_loss_, span(jacobian_));
    const Index n = slope_.size();
    Vector inside(n);  // weight of rows in the quadratic part: the true curvature of the Huber loss
    Vector majorant(n);  // weight of iteratively reweighted least squares: never below it
    for (Index i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const double r = log_loss_[row] - problem_.log_loss[row];
      const double weight = problem_.weights[row];
      const bool quadratic = std::abs(r) <= problem_.delta;
      slope_[i] = weight * huber_slope(r, problem_.delta);
      inside[i] = quadratic ? weight : 0;
      majorant[i] = quadratic ? weight : weight * problem_.delta / std::abs(r);
    }
    gradient = jacobian_.transpose() * slope_;
    damping = jacobian_.transpose() * majorant.asDiagonal() * jacobian_;
    hessian = jacobian_.transpose() * inside.asDiagonal() * jacobian_ + curvature_of_law(x);
  }

  Vector gradient;
  Matrix hessian;
  Matrix damping;  // a positive semidefinite matrix in the objective's own scale

 private:
  static std::span<double> span(Matrix& m) {
    return {m.data(), static_cast<std::size_t>(m.size())};
  }

  // sum_i h'(r_i) d2 ln Lhat_i / dx2, by central differences of the analytic Jacobian with the
  // slopes held.
  Matrix curvature_of_law(const Coordinates& x) {
    constexpr double kStep = 1e-5;  // coordinates are of order 1 to 10
    const auto p = static_cast<Index>(x.size());
    Matrix curvature(p, p);
    Matrix shifted(jacobian_.rows(), p);
    Coordinates y = x;
    for (Index j = 0; j < p; ++j) {
      const auto column = static_cast<std::size_t>(j);
      y[column] = x[column] + kStep;
      problem_.law.evaluate(y, problem_.points, log_loss_, span(shifted));
      curvature.col(j) = shifted.transpose() * slope_;
      y[column] = x[column] - kStep;
      problem_.law.evaluate(y, problem_.points, log_loss_, span(shifted));
      curvature.col(j) -= shifted.transpose() * slope_;
      y[column] = x[column];
    }
    curvature /= 2 * kStep;
    return (curvature + curvature.transpose()) / 2;
  }

  const Problem& problem_;
  std::vector<double> log_loss_;
  Matrix jacobian_;
  Vector slope_;
};

// Coordinates that may move: not fixed, and not pressed against a bound by the gradient.
std::vector<Index> movable(const Problem& problem, const Coordinates& x, const Vector& gradient) {
  std::vector<Index> set;
  for (std::size_t j = 0; j < x.size(); ++j) {
    const double slope = gradient[static_cast<Index>(j)];
    const bool held =
        (x[j] <= problem.lower[j] && slope >= 0) || (x[j] >= problem.upper[j] && slope <= 0);
    if (!held && problem.lower[j] < problem.upper[j]) set.push_back(static_cast<Index>(j));
  }
  return set;
}

// The step that minimises the damped model over the movable coordinates; empty where the model is
// not convex.
Vector newton_step(const Model& model, const std::vector<Index>& set, double mu) {
  const Vector g = model.gradient(set);
  Matrix h = model.hessian(set, set) + mu * Matrix(model.damping(set, set));
  const Vector diagonal = model.damping(set, set).diagonal();
  constexpr double kRelativeFloor = 1e-12;
  h.diagonal() += (mu + kRelativeFloor) * 1e-3 * diagonal;
  const Vector scale = diagonal.cwiseMax(diagonal.maxCoeff() * 1e-30).cwiseSqrt().cwiseInverse();
  const Eigen::LLT<Matrix> factor(scale.asDiagonal() * h * scale.asDiagonal());
  if (factor.info() != Eigen::Success) return {};
  Vector step = scale.asDiagonal() * factor.solve(scale.asDiagonal() * -g);
  return step.allFinite() ? step : Vector();
}

// Residuals of 1e-10 throughout: a law without noise, where relative measures would chase rounding.
bool exact(const Problem& problem, double value) {
  constexpr double kSquaredResidual = 1e-20;
  const double weight = std::accumulate(problem.weights.begin(), problem.weights.end(), 0.0);
  return value <= kSquaredResidual * weight / 2;
}

// Newton with damping that falls to zero near the minimum, on the coordinates that bounds leave
// free.
void polish(const Problem& problem, int iterations, Minimum& minimum) {
  constexpr double kConverged = 1e-13;
  constexpr double kHopeless = 1e8;
  Model model(problem);
  double mu = 1e-3;
  model.update(minimum.x);
  minimum.stop = Stop::iterations;
  for (int iteration = 0; iteration < iterations; ++iteration, ++minimum.iterations) {
    const std::vector<Index> set = movable(problem, minimum.x, model.gradient);
    if (set.empty() || exact(problem, minimum.objective)) {
      minimum.stop = Stop::converged;
      minimum.promised_fall = 0;
      return;
    }
    const Vector step = newton_step(model, set, mu);
    if (step.size() == 0) {
      mu = std::max(mu * 10, 1e-6);
      if (mu > kHopeless) break;
      continue;
    }
    const double promised = -step.dot(Vector(model.gradient(set))) / 2;
    minimum.promised_fall = promised / minimum.objective;
    Coordinates x = minimum.x;
    for (std::size_t k = 0; k < set.size(); ++k) {
      const auto j = static_cast<std::size_t>(set[k]);
      x[j] = clamped(problem, j, x[j] + step[static_cast<Index>(k)]);
    }
    const double reached = objective(problem, x);
    if (reached < minimum.objective) {
      minimum.x = std::move(x);
      minimum.objective = reached;
      model.update(minimum.x);
      mu = mu < 1e-9 ? 0 : mu / 10;
    }
    if (minimum.promised_fall < kConverged && mu < 1) {
      minimum.stop = Stop::converged;
      return;
    }
    if (!(reached <= minimum.objective)) mu = std::max(mu * 10, 1e-6);
    if (mu > kHopeless) break;
  }
  if (mu > kHopeless) minimum.stop = Stop::stalled;
}

}  // namespace

std::string_view describe(Stop stop) {
  switch (stop) {
    case Stop::unfinished:
      return "descended only";
    case Stop::converged:
      return "converged: one more step would gain less than 1e-13 of it";
    case Stop::stalled:
      return "stalled: no step lowers the objective further";
    case Stop::iterations:
      return "stopped at the limit of iterations";
    case Stop::not_finite:
      return "the law has no finite value at the start";
  }
  return "";
}

Minimum descend(const Problem& problem, Coordinates start, const SolverOptions& options) {
  Minimum minimum{.x = std::move(start)};
  for (std::size_t j = 0; j < minimum.x.size(); ++j)
    minimum.x[j] = clamped(problem, j, minimum.x[j]);
  minimum.objective = objective(problem, minimum.x);
  if (!std::isfinite(minimum.objective)) return minimum;
  minimum.stop = Stop::unfinished;
  lower(problem, options.descent_iterations, minimum);
  return minimum;
}

void finish(const Problem& problem, Minimum& minimum, const SolverOptions& options) {
  if (minimum.stop != Stop::not_finite) polish(problem, options.newton_iterations, minimum);
}

Minimum minimise(const Problem& problem, Coordinates start, const SolverOptions& options) {
  Minimum minimum = descend(problem, std::move(start), options);
  finish(problem, minimum, options);
  return minimum;
}

}  // namespace ration::fit
