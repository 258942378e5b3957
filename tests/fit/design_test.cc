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

std::vector<double> ones(const Points& points) { return std::vector<double>(points.size(), 1.0); }

Choosing choosing(int count, double spend = 1e30) {
  Choosing options;
  options.gamma = 0;
  options.count = count;
  options.spend = spend;
  return options;
}

Selection choose(const std::vector<Mode>& modes, const Choosing& options) {
  return choose_runs(modes,
                     few_runs(),
                     ones(few_runs()),
                     kNoise,
                     candidates(),
                     ones(candidates()),
                     target(),
                     options);
}

const Mode kMode = {find_law("chinchilla"), kTruth};

// The variance of ln L at the target after some runs, by one dense inverse: the twin of the
// design's updates.
double target_variance(const std::vector<Points>& runs) {
  const auto gradient = [](const Points& points) {
    Eigen::MatrixXd slopes(static_cast<Eigen::Index>(points.size()), 5);
    std::vector<double> log_loss(points.size());
    kMode.law->evaluate(
        kTruth, points, log_loss, {slopes.data(), static_cast<std::size_t>(slopes.size())});
    return slopes;
  };
  Eigen::VectorXd prior(5);
  prior << 1 / 9.0, 1 / 9.0, 1 / 9.0, 1 / 0.09, 1 / 0.09;
  Eigen::MatrixXd information = prior.asDiagonal();
  for (const Points& points : runs)
    information += gradient(points).transpose() * gradient(points) / (kNoise * kNoise);
  const Eigen::MatrixXd g = gradient(target());
  return (g * information.inverse() * g.transpose())(0, 0);
}

Points one(const Points& points, std::size_t i) {
  Points single;
  single.resize(1);
  single.set(0, points.log_params[i], points.log_tokens[i], points.log_unique[i]);
  return single;
}

TEST(Design, TakesTheRunThatLeavesTheLeastVarianceAtTheTarget) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < candidates().size(); ++i)
    if (target_variance({few_runs(), one(candidates(), i)}) <
        target_variance({few_runs(), one(candidates(), best)}))
      best = i;

  const Selection selection = choose({kMode}, choosing(1));

  ASSERT_EQ(selection.runs.size(), 1U);
  EXPECT_EQ(selection.runs[0].candidate, best);
  const double before = target_variance({few_runs()});
  const double after = target_variance({few_runs(), one(candidates(), best)});
  EXPECT_NEAR(selection.outlook.error_before, std::sqrt(before), 1e-6 * std::sqrt(before));
  EXPECT_NEAR(selection.outlook.error_after, std::sqrt(after), 1e-6 * std::sqrt(after));
  EXPECT_NEAR(selection.runs[0].gain, before - after, 1e-6 * before);
}

TEST(Design, KnowsAfterSeveralRunsWhatADenseInverseKnows) {
  const Selection selection = choose({kMode}, choosing(4));

  std::vector<Points> runs = {few_runs()};
  for (const Chosen& run : selection.runs) runs.push_back(one(candidates(), run.candidate));
  ASSERT_EQ(runs.size(), 5U);
  const double error = std::sqrt(target_variance(runs));
  EXPECT_NEAR(selection.outlook.error_after, error, 1e-6 * error);
}

TEST(Design, SpendsNoMoreThanItMay) {
  for (const double spend : {1e17, 1e18, 1e19, 1e20}) {
    const Selection selection = choose({kMode}, choosing(100, spend));

    EXPECT_LE(selection.spent, spend);
    std::set<std::size_t> distinct;
    for (const Chosen& run : selection.runs) distinct.insert(run.candidate);
    EXPECT_EQ(distinct.size(), selection.runs.size()) << "no candidate twice";
  }
}

TEST(Design, BuysMorePerFlopWhenCostCounts) {
  Choosing careful = choosing(1);
  careful.gamma = 1;

  EXPECT_LT(choose({kMode}, careful).spent, choose({kMode}, choosing(1)).spent);
}

TEST(Design, LeavesTheLeastErrorWhenGammaIsItsOwnChoice) {
  Choosing free = choosing(3, 3e19);
  free.gamma.reset();
  const double chosen = choose({kMode}, free).outlook.error_after;

  for (const double gamma : {0.0, 0.5, 1.0}) {
    Choosing fixed = free;
    fixed.gamma = gamma;
    EXPECT_LE(chosen, choose({kMode}, fixed).outlook.error_after);
  }
}

// Two laws that predict the same for all candidates but those of 1e9 parameters.
TEST(Design, GoesWhereModesDisagree) {
  Coordinates other = kTruth;
  other[3] = 0.2;  // alpha
  other[0] = kTruth[0] + (0.2 - 0.35) * std::log(1e8);
  const std::vector<Mode> modes = {{find_law("chinchilla"), kTruth, 1},
                                   {find_law("chinchilla"), other, 1}};

  const Selection selection = choose(modes, choosing(1));

  ASSERT_EQ(selection.runs.size(), 1U);
  EXPECT_GT(selection.runs[0].disagreement, 0);
  EXPECT_GT(std::exp(candidates().log_params[selection.runs[0].candidate]), 2e8);
}

TEST(Design, TakesRunsOfLittleWeightForLittle) {
  std::vector<double> worth = ones(candidates());
  const std::size_t best = choose({kMode}, choosing(1)).runs[0].candidate;
  worth[best] = 1e-6;

  const Selection selection = choose_runs(
      {kMode}, few_runs(), ones(few_runs()), kNoise, candidates(), worth, target(), choosing(1));

  EXPECT_NE(selection.runs[0].candidate, best);
}

TEST(Relevance, IsOneInsideTheTargetsAndFadesOutside) {
  Points targets = grid({1e9, 4e9}, {2e10, 8e10});
  Points points = grid({2e9, 2e9}, {4e10});
  points.add(Params(1e9), Tokens(2e10), Tokens(2e9));  // ten epochs

  const std::vector<double> weights = relevance(points, targets, 2);

  EXPECT_DOUBLE_EQ(weights[0], 1);
  // ln 10 beyond in epochs; N/U 0.5 where the targets reach from 0.0125 to 0.2.
  EXPECT_NEAR(weights[2], std::exp(-(std::log(10.0) + std::log(2.5)) / 2), 1e-12);
  EXPECT_DOUBLE_EQ(relevance(points, targets, HUGE_VAL)[2], 1);
}

}  // namespace
}  // namespace ration::fit
