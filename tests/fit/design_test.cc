#include "fit/design.h"

#include <gmock/gmock.h>

#include <Eigen/Dense>
#include <cmath>

#include "fit/support.h"

namespace ration::fit {
namespace {

const Coordinates kTruth = {6.2, 7.3, 0.6, 0.35, 0.37};
constexpr double kNoise = 0.01;

Points grid(const std::vector<double>& sizes, const std::vector<double>& lengths) {
  Points points;
  for (const double n : sizes)
    for (const double d : lengths) points.add(Params(n), Tokens(d), Tokens(d));
  return points;
}

Points few_runs() { return grid({1e7, 1e8}, {1e9, 4e9, 1e10}); }
Points candidates() { return grid({3e7, 1e8, 3e8, 1e9}, {1e9, 5e9, 2e10}); }
Points target() { return grid({3e9}, {6e10}); }

Choosing choosing(int count, double spend = 1e30) {
  Choosing options;
  options.gamma = 0;
  options.count = count;
  options.spend = spend;
  return options;
}

Belief belief(const Coordinates& x, const Misfit& misfit = {.size = 0}) {
  const Points runs = few_runs();
  return {.law = find_law("chinchilla"),
          .x = x,
          .noise = kNoise,
          .misfit = misfit,
          .runs = runs,
          .run_weights = std::vector<double>(runs.size(), 1.0),
          .pulls = std::vector<double>(runs.size(), 0.0)};
}

Selection choose(const std::vector<Belief>& beliefs, const Choosing& options) {
  return choose_runs(beliefs, candidates(), target(), options);
}

Points together(const std::vector<Points>& parts) {
  Points all;
  for (const Points& points : parts)
    for (std::size_t i = 0; i < points.size(); ++i) {
      all.resize(all.size() + 1);
      all.set(all.size() - 1, points.log_params[i], points.log_tokens[i], points.log_unique[i]);
    }
  return all;
}

// The variance of ln L at the target after some runs, by one dense inverse of the covariance of all
// losses: the twin of the design's updates.
double target_variance(const std::vector<Points>& runs, const Misfit& misfit = {.size = 0}) {
  const Law& law = *find_law("chinchilla");
  std::vector<Points> parts = {target()};
  parts.insert(parts.end(), runs.begin(), runs.end());
  const Points all = together(parts);
  const auto n = static_cast<Eigen::Index>(all.size());
  Eigen::MatrixXd slopes(n, 5);
  std::vector<double> log_loss(all.size());
  law.evaluate(kTruth, all, log_loss, {slopes.data(), static_cast<std::size_t>(slopes.size())});
  const Eigen::MatrixXd precision =
      Eigen::Map<const Eigen::MatrixXd>(prior_precision(law).data(), 5, 5);
  Eigen::MatrixXd covariance = slopes * precision.inverse() * slopes.transpose();
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      covariance(i, j) +=
          misfit.size * misfit.size *
          std::exp(-distance(all, static_cast<std::size_t>(i), all, static_cast<std::size_t>(j)) /
                   misfit.reach);
  Eigen::MatrixXd seen = covariance.bottomRightCorner(n - 1, n - 1);
  seen.diagonal().array() += kNoise * kNoise;
  const Eigen::VectorXd with_target = covariance.col(0).tail(n - 1);
  return covariance(0, 0) - with_target.dot(seen.inverse() * with_target);
}

Points one(const Points& points, std::size_t i) {
  Points single;
  single.resize(1);
  single.set(0, points.log_params[i], points.log_tokens[i], points.log_unique[i]);
  return single;
}

class DesignByMisfit : public testing::TestWithParam<Misfit> {};

TEST_P(DesignByMisfit, TakesTheRunThatLeavesTheLeastVarianceAtTheTarget) {
  const Misfit misfit = GetParam();
  std::size_t best = 0;
  for (std::size_t i = 0; i < candidates().size(); ++i)
    if (target_variance({few_runs(), one(candidates(), i)}, misfit) <
        target_variance({few_runs(), one(candidates(), best)}, misfit))
      best = i;

  const Selection selection = choose({belief(kTruth, misfit)}, choosing(1));

  ASSERT_EQ(selection.runs.size(), 1U);
  EXPECT_EQ(selection.runs[0].candidate, best);
  const double before = target_variance({few_runs()}, misfit);
  const double after = target_variance({few_runs(), one(candidates(), best)}, misfit);
  // The dense inverses lose six of sixteen digits.
  EXPECT_NEAR(selection.outlook.error_before, std::sqrt(before), 1e-6 * std::sqrt(before));
  EXPECT_NEAR(selection.outlook.error_after, std::sqrt(after), 1e-6 * std::sqrt(after));
  EXPECT_NEAR(selection.runs[0].gain, before - after, 1e-6 * before);
}

TEST_P(DesignByMisfit, KnowsAfterSeveralRunsWhatADenseInverseKnows) {
  const Misfit misfit = GetParam();
  const Selection selection = choose({belief(kTruth, misfit)}, choosing(4));

  std::vector<Points> runs = {few_runs()};
  for (const Chosen& run : selection.runs) runs.push_back(one(candidates(), run.candidate));
  ASSERT_EQ(runs.size(), 5U);
  const double error = std::sqrt(target_variance(runs, misfit));
  EXPECT_NEAR(selection.outlook.error_after, error, 1e-6 * error);
}

INSTANTIATE_TEST_SUITE_P(Misfits,
                         DesignByMisfit,
                         testing::Values(Misfit{.size = 0},
                                         Misfit{.size = 0.1, .reach = 8},
                                         Misfit{.size = 0.3, .reach = 1}));

// Where the law may be wrong, what stands beside the target tells most of it.
TEST(Design, GoesNearerToTheTargetTheLessItTrustsTheLaw) {
  const auto nearest = [](double size) {
    const Selection selection = choose({belief(kTruth, {.size = size, .reach = 1})}, choosing(1));
    return distance(candidates(), selection.runs[0].candidate, target(), 0);
  };

  double least = HUGE_VAL;
  for (std::size_t i = 0; i < candidates().size(); ++i)
    least = std::min(least, distance(candidates(), i, target(), 0));
  EXPECT_DOUBLE_EQ(nearest(1), least);
  EXPECT_GE(nearest(0), nearest(1));
}

TEST(Design, SpendsNoMoreThanItMay) {
  for (const double spend : {1e17, 1e18, 1e19, 1e20}) {
    const Selection selection = choose({belief(kTruth)}, choosing(100, spend));

    EXPECT_LE(selection.spent, spend);
    std::set<std::size_t> distinct;
    for (const Chosen& run : selection.runs) distinct.insert(run.candidate);
    EXPECT_EQ(distinct.size(), selection.runs.size()) << "no candidate twice";
  }
}

TEST(Design, BuysMorePerFlopWhenCostCounts) {
  Choosing careful = choosing(1);
  careful.gamma = 1;

  EXPECT_LT(choose({belief(kTruth)}, careful).spent, choose({belief(kTruth)}, choosing(1)).spent);
}

TEST(Design, LeavesTheLeastErrorWhenGammaIsItsOwnChoice) {
  Choosing free = choosing(3, 3e19);
  free.gamma.reset();
  const double chosen = choose({belief(kTruth)}, free).outlook.error_after;

  for (const double gamma : {0.0, 0.5, 1.0}) {
    Choosing fixed = free;
    fixed.gamma = gamma;
    EXPECT_LE(chosen, choose({belief(kTruth)}, fixed).outlook.error_after);
  }
}

// Two laws that predict the same for all candidates but those of 1e9 parameters.
TEST(Design, GoesWhereModesDisagree) {
  Coordinates other = kTruth;
  other[3] = 0.2;  // alpha
  other[0] = kTruth[0] + (0.2 - 0.35) * std::log(1e8);

  const Selection selection = choose({belief(kTruth), belief(other)}, choosing(1));

  ASSERT_EQ(selection.runs.size(), 1U);
  EXPECT_GT(selection.runs[0].disagreement, 0);
  EXPECT_GT(std::exp(candidates().log_params[selection.runs[0].candidate]), 2e8);
}

}  // namespace
}  // namespace ration::fit
