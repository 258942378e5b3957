#include "fit/solver.h"

#include <ceres/tiny_solver.h>

#include <Eigen/Dense>
#include <algorithm>
#include <limits>
#include <numeric>

#include "fit/vector_math.h"

namespace ration::fit {
namespace {

using Eigen::Index;
using Vector = Eigen::VectorXd;
using Matrix = Eigen::MatrixXd;
// For what has one row a coordinate: lies on the stack. No law has more coordinates.
constexpr int kMostCoordinates = 16;
using SmallVector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, kMostCoordinates, 1>;
using SmallMatrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMostCoordinates, kMostCoordinates>;

double clamped(const Problem& problem, std::size_t j, double value) {
  return std::clamp(value, problem.lower[j], problem.upper[j]);
}

std::vector<std::size_t> free_coordinates(const Problem& problem) {
  std::vector<std::size_t> free;
  for (std::size_t j = 0; j < problem.lower.size(); ++j)
    if (problem.lower[j] < problem.upper[j]) free.push_back(j);
  return free;
}

// Squares with fixed weights, sum_i w_i r_i^2 over the free coordinates, as TinySolver wants them.
// A Gauss-Newton step needs of n rows no more than G = J'WJ, g = J'Wr and s = r'Wr. With G = LL',
// the p + 1 residuals (L^-1 g, sqrt(s - |L^-1 g|^2)) and the Jacobian (L'; 0) have the same three,
// so that the solver's own work does not grow with the runs. Outside the bounds the law is
// evaluated on them.
class WeightedSquares {
 public:
  WeightedSquares(const Problem& problem, const Coordinates& x)
      : problem_(problem),
        free_(free_coordinates(problem)),
        x_(x),
        residuals_(problem.rows()),
        weights_(problem.rows(), 0.0),
        weighted_(problem.rows()),
        jacobian_(problem.rows() * problem.law.size()),
        scratch_(jacobian_.size()),
        gram_(problem.law.size() * problem.law.size()),
        gradient_(problem.law.size()) {
    evaluate();
  }

  int free() const { return static_cast<int>(free_.size()); }
  const std::vector<double>& residuals() const { return residuals_; }  // at x()
  const Coordinates& x() const { return x_; }

  Vector parameters() const {
    Vector values(free());
    for (std::size_t k = 0; k < free_.size(); ++k) values[static_cast<Index>(k)] = x_[free_[k]];
    return values;
  }

  void move_to(const double* parameters) {
    bool moved = false;
    for (std::size_t k = 0; k < free_.size(); ++k) {
      const double value = clamped(problem_, free_[k], parameters[k]);
      moved = moved || value != x_[free_[k]];
      x_[free_[k]] = value;
    }
    if (moved) evaluate();
  }

  // Weights under which the squares touch the objective from above at x() and have its gradient
  // there; or, with knee = infinity, those of least squares. TinySolver's thresholds are absolute,
  // so the sum is scaled to 1.
  void weigh(double knee) {
    double sum = 0;
    for (std::size_t i = 0; i < residuals_.size(); ++i) {
      const double r = residuals_[i];
      weights_[i] = problem_.weight(i, r) * std::min(1.0, knee / std::abs(r));
      if (weights_[i] > 0) sum += weights_[i] * r * r;
    }
    for (double& weight : weights_) weight /= sum;
    summed_ = false;
  }

  // TinySolver's call: false where the law has no finite value.
  bool reduced(const double* parameters, double* residuals, double* jacobian) {
    move_to(parameters);
    if (!summed_) sum_up();
    const auto p = static_cast<Index>(free_.size());
    if (!std::isfinite(squares_)) {
      std::fill_n(residuals, p + 1, squares_);
      return false;
    }
    SmallMatrix gram(p, p);
    SmallVector gradient(p);
    for (Index k = 0; k < p; ++k) {
      const std::size_t row = free_[static_cast<std::size_t>(k)];
      gradient[k] = held(parameters, k) ? 0 : gradient_[row];
      for (Index l = 0; l < p; ++l)
        gram(k, l) = held(parameters, k) || held(parameters, l)
                         ? 0
                         : gram_[row * x_.size() + free_[static_cast<std::size_t>(l)]];
    }
    // Terms that have died out leave G singular; a little of its diagonal keeps it positive, and of
    // its trace where even that is 0.
    constexpr double kRelative = 1e-13;
    gram.diagonal() += kRelative * gram.diagonal();
    gram.diagonal().array() += kRelative * kRelative * gram.trace() + 1e-300;
    const Eigen::LLT<SmallMatrix> factor(gram);
    Eigen::Map<Vector> head(residuals, p);
    head = factor.matrixL().solve(gradient);
    residuals[p] = std::sqrt(std::max(squares_ - head.squaredNorm(), 0.0));
    if (jacobian == nullptr) return true;
    Eigen::Map<Matrix> slopes(jacobian, p + 1, p);
    slopes.setZero();
    slopes.topRows(p) = factor.matrixU();
    return true;
  }

 private:
  // Whether a coordinate lies outside its bounds, where the law no longer follows it.
  bool held(const double* parameters, Index k) const {
    const std::size_t j = free_[static_cast<std::size_t>(k)];
    return parameters[k] < problem_.lower[j] || parameters[k] > problem_.upper[j];
  }

  void evaluate() {
    problem_.law.evaluate(x_, problem_.points, residuals_, jacobian_);
    for (std::size_t i = 0; i < residuals_.size(); ++i) residuals_[i] -= problem_.log_loss[i];
    summed_ = false;
  }

  void sum_up() {
    multiply_all(residuals_, weights_, weighted_);
    squares_ = dot(residuals_, weighted_);
    transposed_product(jacobian_, weighted_, gradient_);
    weighted_gram(jacobian_, weights_, scratch_, gram_);
    summed_ = true;
  }

  const Problem& problem_;
  std::vector<std::size_t> free_;
  Coordinates x_;
  std::vector<double> residuals_, weights_, weighted_, jacobian_, scratch_;
  std::vector<double> gram_, gradient_;  // of all coordinates
  double squares_ = 0;
  bool summed_ = false;  // whether the last three belong to x_ and the weights
};

// What TinySolver calls; it takes its functions as constants.
struct Reduced {
  using Scalar = double;
  enum { NUM_RESIDUALS = Eigen::Dynamic, NUM_PARAMETERS = Eigen::Dynamic };
  int NumResiduals() const { return squares.free() + 1; }
  int NumParameters() const { return squares.free(); }
  bool operator()(const double* parameters, double* residuals, double* jacobian) const {
    return squares.reduced(parameters, residuals, jacobian);
  }
  WeightedSquares& squares;
};

double objective_of(const Problem& problem, const std::vector<double>& residuals) {
  double sum = 0;
  for (std::size_t i = 0; i < residuals.size(); ++i)
    if (problem.weights[i] > 0) sum += problem.loss(i, residuals[i]);
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

double mean_size(const Problem& problem, const std::vector<double>& residuals) {
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    if (problem.weights[i] > 0) sum += problem.weights[i] * std::abs(residuals[i]);
    weights += problem.weights[i];
  }
  return sum / weights;
}

// What predicting the mean for every run would miss by: mean |ln L - mean ln L|.
double spread(const Problem& problem) {
  const double weight = std::accumulate(problem.weights.begin(), problem.weights.end(), 0.0);
  const double mean = dot(problem.weights, problem.log_loss) / weight;
  double sum = 0;
  for (std::size_t i = 0; i < problem.rows(); ++i)
    sum += problem.weights[i] * std::abs(problem.log_loss[i] - mean);
  return sum / weight;
}

// Minimises weighted squares, re-weighted every few steps.
class Descent {
 public:
  Descent(const Problem& problem, const Coordinates& x) : squares_(problem, x) {
    solver_.options.gradient_tolerance = 1e-12;
    solver_.options.parameter_tolerance = 1e-12;
    solver_.options.cost_threshold = 0;
  }

  // A few steps under the weights of `knee`, fewer where they gain less than `tolerance`.
  void solve(double knee, int iterations, double tolerance) {
    squares_.weigh(knee);
    solver_.options.max_num_iterations = iterations;
    solver_.options.function_tolerance = tolerance;
    Vector parameters = squares_.parameters();
    solver_.Solve(Reduced{squares_}, &parameters);
    iterations_ += solver_.summary.iterations;
    squares_.move_to(parameters.data());
  }

  const std::vector<double>& residuals() const { return squares_.residuals(); }
  const Coordinates& x() const { return squares_.x(); }
  int iterations() const { return iterations_; }

 private:
  WeightedSquares squares_;
  ceres::TinySolver<Reduced> solver_;
  int iterations_ = 0;
};

// Value, gradient and curvature of the objective at a point.
class Model {
 public:
  explicit Model(const Problem& problem)
      : problem_(problem),
        log_loss_(problem.rows()),
        jacobian_(static_cast<Index>(problem.rows()), static_cast<Index>(problem.law.size())),
        scratch_(jacobian_.rows(), jacobian_.cols()),
        slope_(static_cast<Index>(problem.rows())) {}

  void update(const Coordinates& x) {
    problem_.law.evaluate(x, problem_.points, log_loss_, span(jacobian_));
    const Index n = slope_.size();
    std::vector<Index> inside;  // rows in the quadratic part: the true curvature of the Huber loss
    Vector majorant(n);         // weights of reweighted squares: a curvature never below the true
    for (Index i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const double r = log_loss_[row] - problem_.log_loss[row];
      const double weight = problem_.weight(row, r);
      const bool quadratic = std::abs(r) <= problem_.delta;
      slope_[i] = weight * huber_slope(r, problem_.delta);
      majorant[i] = quadratic ? weight : weight * problem_.delta / std::abs(r);
      if (quadratic && weight > 0) inside.push_back(i);
    }
    const Index p = jacobian_.cols();
    gradient.resize(p);
    damping.resize(p, p);
    transposed_product(span(jacobian_), span(slope_), span(gradient));
    weighted_gram(span(jacobian_), span(majorant), span(scratch_), span(damping));
    hessian = curvature_of_law(x);
    for (const Index i : inside)
      hessian.noalias() += problem_.weight(static_cast<std::size_t>(i), slope_[i]) *
                           jacobian_.row(i).transpose() * jacobian_.row(i);
  }

  Vector gradient;
  Matrix hessian;
  Matrix damping;  // a positive semidefinite matrix in the objective's own scale

 private:
  template <class M>
  static std::span<double> span(M& m) {
    return {m.data(), static_cast<std::size_t>(m.size())};
  }

  // sum_i h'(r_i) d2 ln Lhat_i / dx2, by central differences of the analytic Jacobian with the
  // slopes held.
  Matrix curvature_of_law(const Coordinates& x) {
    constexpr double kStep = 1e-5;  // coordinates are of order 1 to 10
    const auto p = static_cast<Index>(x.size());
    Matrix curvature = Matrix::Zero(p, p);
    Vector product(p);
    Coordinates y = x;
    for (Index j = 0; j < p; ++j) {
      const auto column = static_cast<std::size_t>(j);
      if (problem_.lower[column] == problem_.upper[column]) continue;
      for (const double step : {kStep, -kStep}) {
        y[column] = x[column] + step;
        problem_.law.evaluate(y, problem_.points, log_loss_, span(scratch_));
        transposed_product(span(scratch_), span(slope_), span(product));
        curvature.col(j) += product / (2 * step);
      }
      y[column] = x[column];
    }
    return (curvature + curvature.transpose()) / 2;
  }

  const Problem& problem_;
  std::vector<double> log_loss_;
  Matrix jacobian_;
  Matrix scratch_;  // of the size of jacobian_
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

// Residuals of 1e-13 throughout: a law without noise, where relative measures would chase rounding.
bool exact(const Problem& problem, double value) {
  constexpr double kSquaredResidual = 1e-26;
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
    const double kept_promise = (minimum.objective - reached) / promised;
    if (reached < minimum.objective) {
      minimum.x = std::move(x);
      minimum.objective = reached;
      model.update(minimum.x);
      if (kept_promise > 0.5) mu = mu < 1e-9 ? 0 : mu / 10;
      if (kept_promise < 0.1) mu = std::max(mu * 4, 1e-6);
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

namespace {

bool all_held(const Problem& problem) {
  return std::equal(problem.lower.begin(), problem.lower.end(), problem.upper.begin());
}

}  // namespace

std::string_view describe(Stop stop) {
  switch (stop) {
    case Stop::unfinished:
      return "not finished";
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

Minimum approach(const Problem& problem, Coordinates start, const SolverOptions& options) {
  Minimum minimum{.x = std::move(start)};
  for (std::size_t j = 0; j < minimum.x.size(); ++j) {
    if (!std::isfinite(minimum.x[j]) && problem.lower[j] < problem.upper[j]) return minimum;
    minimum.x[j] = clamped(problem, j, minimum.x[j]);
  }
  Descent descent(problem, minimum.x);
  minimum.objective = objective_of(problem, descent.residuals());
  if (!std::isfinite(minimum.objective)) return minimum;
  minimum.stop = Stop::unfinished;
  if (all_held(problem)) return minimum;  // polish() sees that it is the minimum
  if (mean_size(problem, descent.residuals()) <= spread(problem)) return minimum;
  descent.solve(HUGE_VAL, options.descent_iterations, 2e-4);
  minimum.x = descent.x();
  minimum.objective = objective_of(problem, descent.residuals());
  minimum.iterations = descent.iterations();
  return minimum;
}

void descend(const Problem& problem, Minimum& minimum, const SolverOptions& options) {
  constexpr double kEnough = 3e-3;  // relative fall in a round below which Newton takes over
  constexpr double kShrink = 4;
  if (minimum.stop == Stop::not_finite || all_held(problem)) return;
  Descent descent(problem, minimum.x);
  // Weights of a small knee hold on to the few runs that a start happens to meet. A knee that
  // shrinks from the size of the residuals lets them go.
  double knee = mean_size(problem, descent.residuals());
  for (; knee > problem.delta * kShrink; knee /= kShrink) descent.solve(knee, 12, 1e-3);
  double lowest = HUGE_VAL;
  const bool squares = std::isinf(problem.delta);  // one round is all there is
  for (int round = 0; round < options.descent_iterations; ++round) {
    descent.solve(problem.delta, squares ? options.descent_iterations : 12, squares ? 1e-10 : 1e-2);
    const double reached = objective_of(problem, descent.residuals());
    const bool enough = !(reached < lowest * (1 - kEnough));
    if (reached < std::min(lowest, minimum.objective)) {
      minimum.x = descent.x();
      minimum.objective = reached;
    }
    lowest = std::min(lowest, reached);
    if (enough || !(lowest > 0)) break;
  }
  minimum.iterations += descent.iterations();
}

void finish(const Problem& problem, Minimum& minimum, const SolverOptions& options) {
  if (minimum.stop != Stop::not_finite) polish(problem, options.newton_iterations, minimum);
}

Minimum minimise(const Problem& problem, Coordinates start, const SolverOptions& options) {
  Minimum minimum = approach(problem, std::move(start), options);
  descend(problem, minimum, options);
  finish(problem, minimum, options);
  return minimum;
}

}  // namespace ration::fit
