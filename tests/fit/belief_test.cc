#include "fit/belief.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "fit/support.h"

namespace ration::fit {
namespace {

const Coordinates kTruth = {6.2, 7.3, 0.6, 0.35, 0.37, std::log(15.0), std::log(6.0)};
const Law& law() { return *find_law("data-constrained"); }

struct Runs {
  Points points;
  std::vector<double> log_loss, weights;
};

Runs runs_with(double noise, std::size_t every = 1) {
  Runs runs;
  const std::vector<Observation> all = test::simulated_runs(law(), kTruth, noise);
  for (std::size_t i = 0; i < all.size(); i += every) {
    runs.points.add(all[i].params, all[i].tokens, all[i].unique);
    runs.log_loss.push_back(std::log(all[i].loss.value));
    runs.weights.push_back(1);
  }
  return runs;
}

std::vector<Belief> believed(const Runs& runs, const Misfit& misfit) {
  return believe({{&law(), law().typical()}}, runs.points, runs.log_loss, runs.weights, misfit);
}

TEST(Belief, IsThePriorWhereNothingIsKnown) {
  const Belief belief = believed({}, {}).front();

  EXPECT_EQ(belief.x, law().typical());
  Points point;
  point.add(Params(1e8), Tokens(2e10), Tokens(2e10));  // no more parameters than U can feed
  const double expected = 1.82 + 482 * std::pow(1e8, -0.348) + 2085 * std::pow(2e10, -0.366);
  EXPECT_NEAR(std::exp(belief.predict(point)[0]), expected, 1e-9);
}

// 120 runs of a law that is true: they outweigh a prior of 0.1 for exponents.
TEST(Belief, FindsALawThatIsTrue) {
  const Belief belief = believed(runs_with(0.005), {.size = 0}).front();

  // Standard errors of alpha and beta by the sandwich are 0.01; four of them.
  EXPECT_NEAR(belief.x[3], 0.35, 0.04);
  EXPECT_NEAR(belief.x[4], 0.37, 0.04);
  // 113 degrees of freedom leave 7 % of the noise open, and the parabola adds up to 16 %.
  EXPECT_NEAR(belief.noise, 0.005, 0.0015);
}

// A closed form: where the law cannot move, what is left is interpolated by the misfit, here at the
// run itself and infinitely far from it.
TEST(Belief, FollowsRunsNearThemAndTheLawFarFromThem) {
  Belief belief{.law = &law(), .x = kTruth, .noise = 0.005, .misfit = {.size = 0.1, .reach = 2}};
  belief.runs.add(Params(1e8), Tokens(1e9), Tokens(1e9));
  belief.run_weights = {1};
  const double residual = 0.05;
  belief.pulls = {residual / (0.1 * 0.1 + 0.005 * 0.005)};
  Points asked = belief.runs;
  asked.add(Params(1e14), Tokens(1e15), Tokens(1e15));
  std::vector<double> by_law(2);
  law().evaluate(kTruth, asked, by_law, {});

  const std::vector<double> predicted = belief.predict(asked);

  EXPECT_NEAR(predicted[0] - by_law[0], residual / 1.0025, 1e-12);
  EXPECT_NEAR(predicted[1], by_law[1], 1e-7);  // exp(-27.6 / 2) of a tenth
}

// The posterior mode by another route: no direction from it is more probable. Density written anew.
TEST(Belief, IsTheMostProbableLaw) {
  const Runs runs = runs_with(0.02, 7);
  const Belief belief = believed(runs, {.size = 0.05, .reach = 4}).front();
  const auto n = static_cast<Eigen::Index>(runs.points.size());
  Eigen::MatrixXd covariance(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      covariance(i, j) = 0.05 * 0.05 *
                             std::exp(-distance(runs.points,
                                                static_cast<std::size_t>(i),
                                                runs.points,
                                                static_cast<std::size_t>(j)) /
                                      4) +
                         (i == j ? belief.noise * belief.noise : 0);
  const Eigen::MatrixXd inverse = covariance.inverse();
  const Eigen::MatrixXd precision =
      Eigen::Map<const Eigen::MatrixXd>(prior_precision(law()).data(), 7, 7);
  const auto cost = [&](const Coordinates& x) {
    Eigen::VectorXd r(n);
    law().evaluate(x, runs.points, {r.data(), runs.points.size()}, {});
    r -= Eigen::Map<const Eigen::VectorXd>(runs.log_loss.data(), n);
    const Coordinates centre = law().typical();
    const Eigen::VectorXd moved = Eigen::Map<const Eigen::VectorXd>(x.data(), 7) -
                                  Eigen::Map<const Eigen::VectorXd>(centre.data(), 7);
    return r.dot(inverse * r) / 2 + moved.dot(precision * moved) / 2;
  };

  for (std::size_t j = 0; j < belief.x.size(); ++j)
    for (const double step : {-0.01, 0.01}) {
      Coordinates aside = belief.x;
      aside[j] += step;
      EXPECT_GT(cost(aside), cost(belief.x)) << law().parameters()[j].name;
    }
}

TEST(Belief, TakesRunsOfLittleWeightForLittle) {
  Runs runs = runs_with(0.005);
  runs.log_loss[0] += 1;  // a run gone wrong
  runs.weights[0] = 1e-9;

  const Belief belief = believed(runs, {.size = 0}).front();

  EXPECT_NEAR(belief.noise, 0.005, 0.0015);  // as above
}

TEST(Misfit, SaysWhatItMayNotBe) {
  EXPECT_TRUE(check(Misfit{}).empty());
  EXPECT_EQ(check(Misfit{.size = 2, .reach = 0}).size(), 2U);
}

}  // namespace
}  // namespace ration::fit
