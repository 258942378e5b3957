// The bandits against a problem whose best source is known: linear regression towards a target
// vector, with sources whose own vectors lie at angles to it.

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/random.h"
#include "data/policy/policy.h"
#include "data/policy/rewards.h"

namespace ration::data {
namespace {

constexpr std::size_t kWidth = 8;
constexpr std::array<double, 4> kAngles = {0, M_PI / 4, M_PI / 2, M_PI};
constexpr double kNoise = 0.1;
using Vector = std::array<double, kWidth>;

// y = x . (w* cos angle + w_perp sin angle) + noise, w* and w_perp the first two unit vectors.
Vector truth(double angle) { return {std::cos(angle), std::sin(angle)}; }

// Mean gradient of half the squared error over a fresh batch.
Vector gradient(const Vector& weights, double angle, int batch, Stream& stream) {
  const Vector goal = truth(angle);
  Vector mean{};
  for (int i = 0; i < batch; ++i) {
    Vector x;
    double error = -kNoise * stream.normal();
    for (std::size_t j = 0; j < kWidth; ++j) {
      x[j] = stream.normal();
      error += x[j] * (weights[j] - goal[j]);
    }
    for (std::size_t j = 0; j < kWidth; ++j) mean[j] += error * x[j] / batch;
  }
  return mean;
}

// Expected half squared error on the target, without its noise.
double target_loss(const Vector& weights) {
  const Vector goal = truth(0);
  double loss = 0;
  for (std::size_t j = 0; j < kWidth; ++j)
    loss += (weights[j] - goal[j]) * (weights[j] - goal[j]) / 2;
  return loss;
}

double alignment(const Vector& target, const Vector& source) {
  return reward(RewardKind::alignment, compare<double>(target, source));
}

struct Trained {
  double loss = 0;
  std::array<double, 4> pulls{}, p{};  // of the second half; at the end
};

// Few target examples, many of the sources: what a step moves is the source's gradient.
Trained train(const PolicyOptions& options, std::uint64_t seed) {
  constexpr int kSteps = 1500;
  constexpr double kRate = 0.002;
  Stream draws(seed, StreamId::sources), chance(seed, StreamId::bootstrap);
  const auto policy = make_policy(options);
  Vector weights{};
  const Vector begin = gradient(weights, 0, 512, chance);
  for (std::size_t arm = 0; arm < kAngles.size(); ++arm)
    policy->begin_with(arm,
                       (alignment(begin, gradient(weights, kAngles[arm], 512, chance)) + 1) / 2);
  Trained trained;
  for (int step = 0; step < kSteps; ++step) {
    const std::size_t arm = policy->next(draws.uniform())->arm;
    const Vector target = gradient(weights, 0, 64, chance);
    const Vector source = gradient(weights, kAngles[arm], 64, chance);
    policy->observe(arm, rescaled(RewardKind::alignment, alignment(target, source)));
    policy->end_step();
    for (std::size_t j = 0; j < kWidth; ++j) weights[j] -= kRate * source[j];
    if (step >= kSteps / 2) trained.pulls[arm] += 2.0 / kSteps;
  }
  trained.loss = target_loss(weights);
  policy->probs(trained.p);
  return trained;
}

PolicyOptions options_of(PolicyKind kind) {
  PolicyOptions options;
  options.kind = kind;
  options.weights.assign(kAngles.size(), 1);
  options.smoothing = kind == PolicyKind::ucb1 ? 0.1 : 1;
  options.quota = false;
  return options;
}

TEST(Regression, BeginsWithRewardsThatAreTheCosinesOfTheAngles) {
  Stream stream(1, StreamId::bootstrap);
  const Vector origin{};
  const Vector target = gradient(origin, 0, 4096, stream);

  for (const double angle : kAngles)
    EXPECT_NEAR(alignment(target, gradient(origin, angle, 4096, stream)), std::cos(angle), 0.05);
}

class RegressionBandit : public testing::TestWithParam<PolicyKind> {};

TEST_P(RegressionBandit, FindsTheSourceThatIsTheTargetAndLeavesItsOpposite) {
  const Trained trained = train(options_of(GetParam()), 3);

  for (std::size_t arm = 1; arm < kAngles.size(); ++arm)
    EXPECT_GT(trained.pulls[0], trained.pulls[arm]) << "against " << arm;
  for (std::size_t arm = 0; arm < 3; ++arm) EXPECT_LE(trained.pulls[3], trained.pulls[arm]);
}

TEST(RegressionExp3, LeavesTheOppositeSourceNothingButExploring) {
  const Trained trained = train(options_of(PolicyKind::exp3), 3);
  const double floor = std::sqrt(std::log(4) / (4 * 1501.0));
  EXPECT_NEAR(trained.p[3], floor, 0.01);
}

TEST_P(RegressionBandit, EndsWithLessTargetLossThanUniformDraws) {
  int wins = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    wins +=
        train(options_of(GetParam()), seed).loss < train(options_of(PolicyKind::fixed), seed).loss;
  EXPECT_GE(wins, 9);
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         RegressionBandit,
                         testing::Values(PolicyKind::exp3, PolicyKind::ucb1));

}  // namespace
}  // namespace ration::data
