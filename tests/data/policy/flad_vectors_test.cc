#include <gtest/gtest.h>

#include <cmath>

#include "data/policy/policy.h"
#include "data/policy/rewards.h"
#include "support/vectors.h"

namespace ration::data {
namespace {

constexpr double kTolerance = 1e-9;  // the one that the vectors name

std::vector<double> probs_of(const Policy& policy) {
  std::vector<double> p(policy.arms());
  policy.probs(p);
  return p;
}

void expect_near(const std::vector<double>& found, const Json& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i].get<double>(), kTolerance) << what << ", arm " << i;
}

struct Exp3Trace {
  std::string name;
  double kappa;
  double smoothing;
  bool counts;
};

class Exp3Reference : public testing::TestWithParam<Exp3Trace> {};

TEST_P(Exp3Reference, FollowsThePublishedTrace) {
  const Json all = test::vectors("flad.json");
  PolicyOptions options;
  options.kind = PolicyKind::exp3;
  options.weights.assign(all["K"], 1);
  options.kappa = GetParam().kappa;
  options.smoothing = GetParam().smoothing;
  options.credit_counts = GetParam().counts;
  const auto policy = make_policy(options);
  const Json trace = all[GetParam().name]["trace"];
  ASSERT_EQ(trace.size(), 10U);

  for (const Json& step : trace) {
    const std::string what = GetParam().name + ", step " + step["step"].dump();
    expect_near(probs_of(*policy), step["p_before"], what);
    std::set<std::size_t> arms;
    for (std::size_t i = 0; i < step["uniforms"].size(); ++i) {
      const auto draw = policy->next(step["uniforms"][i]);
      ASSERT_TRUE(draw);
      EXPECT_EQ(draw->arm, step["arms"][i].get<std::size_t>()) << what;
      arms.insert(draw->arm);
    }
    const std::size_t row = step["step"].get<std::size_t>() - 1;
    for (const std::size_t arm : arms) policy->observe(arm, all["rewards"][row][arm]);
    policy->end_step();
    expect_near(probs_of(*policy), step["p_after"], what);
    const auto estimate = policy->state()["estimate"].get<std::vector<double>>();
    for (std::size_t arm = 0; arm < estimate.size(); ++arm) {
      const double expected = step["R_hat"][arm];
      EXPECT_NEAR(estimate[arm], expected, kTolerance * std::max(1.0, std::abs(expected))) << what;
    }
    if (step.contains("similarity"))
      expect_near(policy->state()["smoothed"].get<std::vector<double>>(), step["similarity"], what);
  }
}

INSTANTIATE_TEST_SUITE_P(All,
                         Exp3Reference,
                         testing::Values(Exp3Trace{"exp3_anytime", 1, 1, true},
                                         Exp3Trace{"exp3_kappa10", 10, 1, true},
                                         Exp3Trace{"exp3_accumulated", 10, 1, false},
                                         Exp3Trace{"exp3_unbiased_counts", 1, 1, true},
                                         Exp3Trace{"exp3_smoothed", 1, 0.5, true}),
                         [](const auto& test) { return test.param.name; });

class Ucb1Reference : public testing::TestWithParam<std::string> {};

TEST_P(Ucb1Reference, FollowsThePublishedTrace) {
  const Json all = test::vectors("flad.json");
  PolicyOptions options;
  options.kind = PolicyKind::ucb1;
  options.weights.assign(all["K"], 1);
  options.smoothing = 0.1;
  options.plain_mean = GetParam() == "ucb1_mean";
  const auto policy = make_policy(options);
  for (std::size_t arm = 0; arm < policy->arms(); ++arm)
    policy->begin_with(arm, all["initial_means_ucb1"][arm]);
  const Json trace = all[GetParam()]["trace"];
  ASSERT_EQ(trace.size(), 10U);

  for (const Json& step : trace) {
    const std::string what = GetParam() + ", step " + step["step"].dump();
    EXPECT_EQ(policy->state()["counts"], step["counts_before"]) << what;
    expect_near(policy->state()["mean"].get<std::vector<double>>(), step["mean_before"], what);
    const auto draw = policy->next(0.5);
    ASSERT_TRUE(draw);
    EXPECT_EQ(draw->arm, step["arm"].get<std::size_t>()) << what;
    policy->observe(draw->arm, step["reward"]);
    policy->end_step();
    EXPECT_EQ(policy->state()["counts"], step["counts_after"]) << what;
    expect_near(policy->state()["mean"].get<std::vector<double>>(), step["mean_after"], what);
  }
}

INSTANTIATE_TEST_SUITE_P(All,
                         Ucb1Reference,
                         testing::Values("ucb1_ema", "ucb1_mean"),
                         [](const auto& test) { return test.param; });

TEST(RewardReference, AgreesOnEveryPairOfGradients) {
  const Json pairs = test::vectors("flad.json")["rewards_from_gradients"];
  ASSERT_FALSE(pairs.empty());

  for (const Json& pair : pairs) {
    const auto target = pair["target"].get<std::vector<double>>();
    const auto source = pair["auxiliary"].get<std::vector<double>>();
    const GradientSums sums = compare<double>(target, source);
    EXPECT_NEAR(reward(RewardKind::alignment, sums), pair["cosine"].get<double>(), kTolerance);
    EXPECT_NEAR(reward(RewardKind::magnitude, sums), pair["magnitude"].get<double>(), kTolerance);
    EXPECT_NEAR(reward(RewardKind::combined, sums), pair["combined"].get<double>(), kTolerance);
  }
}

// The vectors show what the authors' program draws from; ours draws from p itself, and gives the
// other only where replication is asked for.
TEST(SecondSoftmaxReference, IsWhatTheAuthorsProgramDrawsFromAndOursDoesNot) {
  const Json pitfall = test::vectors("flad.json")["double_softmax_pitfall"];
  const auto p = pitfall["p"].get<std::vector<double>>();
  expect_near(softmax(p), pitfall["softmax_of_p"], "p");
  expect_near(softmax(pitfall["one_hot"].get<std::vector<double>>()),
              pitfall["softmax_of_one_hot"],
              "one hot");

  PolicyOptions options;
  options.kind = PolicyKind::exp3;
  options.weights.assign(3, 1);
  Json state = make_policy(options)->state();
  state["p"] = p;
  for (const bool doubled : {false, true}) {
    options.second_softmax = doubled;
    std::vector<double> shares(3, 0);
    constexpr int kDraws = 20000;  // evenly spaced uniforms: shares within 1/kDraws of p
    for (int i = 0; i < kDraws; ++i) {
      const auto policy = make_policy(options);
      policy->load(state);
      const auto draw = policy->next((i + 0.5) / kDraws);
      shares[draw->arm] += 1.0 / kDraws;
      EXPECT_DOUBLE_EQ(draw->p, p[draw->arm]);  // credit is by p in both
    }
    for (std::size_t arm = 0; arm < 3; ++arm)
      EXPECT_NEAR(shares[arm],
                  (doubled ? pitfall["softmax_of_p"][arm].get<double>() : p[arm]),
                  1.1 / kDraws);
  }
}

}  // namespace
}  // namespace ration::data
