#include "fit/solver.h"

#include <ceres/ceres.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fit/support.h"

namespace ration::fit {
namespace {

const Coordinates kTruth = {6.2, 7.5, 0.6, 0.35, 0.37};

struct Data {
  Points points;
  std::vector<double> log_loss;
  std::vector<double> weights;
};

Data data_of(const std::vector<Observation>& runs) {
  Data data;
  for (const Observation& run : runs) {
    data.points.add(run.params, run.tokens, run.unique);
    data.log_loss.push_back(std::log(run.loss.value));
    data.weights.push_back(1);
  }
  return data;
}

Problem problem_of(const Data& data, std::string_view law = "chinchilla", double delta = 1e-3) {
  return make_problem(*find_law(law), data.points, data.log_loss, data.weights, delta);
}

// ln L of the base law for Ceres, written on its own.
struct LogLossResidual {
  double log_n, log_d, log_loss;
  template <class T>
  bool operator()(const T* x, T* residual) const {
    using std::exp, std::log;
    residual[0] =
        log(exp(x[0] - x[3] * log_n) + exp(x[1] - x[4] * log_d) + exp(x[2])) - T(log_loss);
    return true;
  }
};

// The same minimum by Ceres' full solver with its own Huber loss and automatic derivatives.
double solve_with_ceres(const Data& data, double delta, Coordinates x) {
  ceres::Problem problem;
  for (std::size_t i = 0; i < data.log_loss.size(); ++i)
    problem.AddResidualBlock(
        new ceres::AutoDiffCostFunction<LogLossResidual, 1, 5>(new LogLossResidual{
            data.points.log_params[i], data.points.log_tokens[i], data.log_loss[i]}),
        new ceres::HuberLoss(delta),
        x.data());
  ceres::Solver::Options options;
  options.max_num_iterations = 1000;
  options.function_tolerance = 1e-15;
  options.gradient_tolerance = 1e-18;
  options.parameter_tolerance = 1e-15;
  options.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(options, &problem, &summary);
  return summary.final_cost;
}

TEST(Solver, EndsWhereCeresFullSolverWithItsHuberLossEnds) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.004));

  const Minimum ours = minimise(problem_of(data), {5, 6, 0.3, 0.3, 0.3});
  const double theirs = solve_with_ceres(data, 1e-3, ours.x);

  EXPECT_EQ(ours.stop, Stop::converged);
  EXPECT_LE(ours.objective, theirs * (1 + 1e-9));
  EXPECT_NEAR(ours.objective,
              solve_with_ceres(data, 1e-3, {5, 6, 0.3, 0.3, 0.3}),
              1e-5 * ours.objective);  // theirs stops earlier
}

TEST(Solver, RecoversALawWithoutNoiseExactly) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0));

  const Minimum minimum = minimise(problem_of(data), {5, 6, 0.3, 0.3, 0.3});

  for (std::size_t j = 0; j < kTruth.size(); ++j) EXPECT_NEAR(minimum.x[j], kTruth[j], 1e-5);
}

TEST(Solver, LeavesNothingToGainInAnyDirection) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01));
  const Problem problem = problem_of(data);

  const Minimum minimum = minimise(problem, {5, 6, 0.3, 0.3, 0.3});

  for (std::size_t j = 0; j < kTruth.size(); ++j)
    for (const double step : {-1e-3, -1e-5, 1e-5, 1e-3}) {
      Coordinates x = minimum.x;
      x[j] += step;
      EXPECT_GE(objective(problem, x), minimum.objective);
    }
}

TEST(Solver, TakesTheSameStepsWhateverTheScaleOfTheObjective) {
  Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01));
  const Minimum plain = minimise(problem_of(data), {5, 6, 0.3, 0.3, 0.3});

  for (const double scale : {0x1p-40, 0x1p40}) {  // powers of two keep rounding the same
    std::fill(data.weights.begin(), data.weights.end(), scale);
    const Minimum scaled = minimise(problem_of(data), {5, 6, 0.3, 0.3, 0.3});

    EXPECT_NEAR(scaled.objective / scale, plain.objective, 1e-13 * plain.objective);
    for (std::size_t j = 0; j < kTruth.size(); ++j) EXPECT_NEAR(scaled.x[j], plain.x[j], 1e-7);
  }
}

TEST(Solver, CountsAWeightOfTwoAsTheRunTwice) {
  std::vector<Observation> runs = test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01);
  Data weighted = data_of(runs);
  weighted.weights[3] = weighted.weights[50] = 2;
  runs.push_back(runs[3]);
  runs.push_back(runs[50]);
  const Data repeated = data_of(runs);

  const Minimum a = minimise(problem_of(weighted), {5, 6, 0.3, 0.3, 0.3});
  const Minimum b = minimise(problem_of(repeated), {5, 6, 0.3, 0.3, 0.3});

  EXPECT_NEAR(a.objective, b.objective, 1e-12 * a.objective);
  for (std::size_t j = 0; j < kTruth.size(); ++j) EXPECT_NEAR(a.x[j], b.x[j], 1e-7);
}

TEST(Solver, PullsTheLawDownWherePredictingTooHighCostsMore) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01));
  Problem problem = problem_of(data);
  const auto too_high = [&] {
    const std::vector<double> r = residuals(problem, minimise(problem, kTruth).x);
    return static_cast<double>(
        std::count_if(r.begin(), r.end(), [](double value) { return value > 0; }));
  };
  const auto rows = static_cast<double>(problem.rows());

  EXPECT_NEAR(too_high() / rows, 0.5, 0.06);
  problem.asymmetry = 9;  // nearly absolute deviations: the tenth percentile
  EXPECT_NEAR(too_high() / rows, 0.1, 0.06);
}

TEST(Solver, StopsOnABoundThatTheDataPushAgainst) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0));
  Problem problem = problem_of(data);
  problem.upper[3] = 0.30;  // the truth is 0.35

  const Minimum minimum = minimise(problem, {5, 6, 0.3, 0.2, 0.3});

  EXPECT_EQ(minimum.x[3], 0.30);
  EXPECT_EQ(minimum.stop, Stop::converged);
}

TEST(Solver, HoldsACoordinateWhoseBoundsAreEqual) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01));
  Problem problem = problem_of(data);
  problem.lower[2] = problem.upper[2] = 0.5;

  const Minimum minimum = minimise(problem, {5, 6, 0.9, 0.2, 0.3});

  EXPECT_EQ(minimum.x[2], 0.5);
  EXPECT_EQ(minimum.stop, Stop::converged);
}

TEST(Solver, RefusesAStartWithoutAFiniteValue) {
  const Data data = data_of(test::simulated_runs(*find_law("chinchilla"), kTruth, 0.01));
  EXPECT_EQ(minimise(problem_of(data), {NAN, 6, 0.3, 0.3, 0.3}).stop, Stop::not_finite);
}

TEST(Huber, IsQuadraticInsideTheKneeAndLinearOutside) {
  EXPECT_DOUBLE_EQ(huber(0.5e-3, 1e-3), 0.125e-6);
  EXPECT_DOUBLE_EQ(huber(-3e-3, 1e-3), 1e-3 * (3e-3 - 0.5e-3));
  EXPECT_DOUBLE_EQ(huber_slope(0.5e-3, 1e-3), 0.5e-3);
  EXPECT_DOUBLE_EQ(huber_slope(-3e-3, 1e-3), -1e-3);
}

}  // namespace
}  // namespace ration::fit
