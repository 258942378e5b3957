#include "data/mixture/mixture.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ration::data {
namespace {

MixtureOptions three_sources(PolicyKind kind) {
  MixtureOptions options;
  options.sources = {{.windows = 10, .max_epochs = 0, .seed = 1},
                     {.windows = 4, .max_epochs = 2.5, .seed = 2},
                     {.windows = 7, .max_epochs = 0, .seed = 3}};
  options.policy.kind = kind;
  options.policy.weights = {1, 2, 1};
  options.policy.smoothing = 0.5;
  options.seed = 5;
  return options;
}

std::int64_t windows_in(const std::vector<Part>& parts) {
  std::int64_t windows = 0;
  for (const Part& part : parts) windows += static_cast<std::int64_t>(part.windows.size());
  return windows;
}

TEST(Mixture, LetsEachSourceFollowItsOwnScheduleWhateverTheOthersDo) {
  Mixture mixture(three_sources(PolicyKind::fixed));
  WindowSchedule alone(10, 1);

  for (int step = 0; step < 60; ++step) {
    const auto parts = mixture.step(3);
    ASSERT_TRUE(parts);
    EXPECT_EQ(windows_in(*parts), 3);
    for (const Part& part : *parts) {
      if (part.arm != 0) continue;
      for (const std::uint32_t window : part.windows) EXPECT_EQ(window, alone.next());
    }
    mixture.end_step();
  }
}

TEST(Mixture, StopsASourceAtItsCapAndSharesItsPartAmongTheOthers) {
  Mixture mixture(three_sources(PolicyKind::fixed));

  for (int step = 0; step < 40; ++step) {
    ASSERT_EQ(windows_in(*mixture.step(2)), 2);
    mixture.end_step();
  }

  EXPECT_EQ(mixture.sources()[1].used(), 10);  // 2.5 epochs of 4 windows
  EXPECT_EQ(mixture.log()["p"], Json({0.5, 0.0, 0.5}));
  EXPECT_LE(std::abs(mixture.sources()[0].used() - mixture.sources()[2].used()), 2);
}

TEST(Mixture, SplitsAPullThatReachesACap) {
  MixtureOptions options = three_sources(PolicyKind::exp3);
  options.pulls = 1;
  options.sources[0].max_epochs = options.sources[2].max_epochs = 1;
  Mixture mixture(options);

  EXPECT_EQ(windows_in(*mixture.step(27)), 27);  // 10 + 10 + 7: all there is
  mixture.end_step();
  EXPECT_FALSE(mixture.step(1));
}

TEST(Mixture, LowersRewardsByWhatASourceRepeats) {
  MixtureOptions options = three_sources(PolicyKind::ucb1);
  options.sources = {{.windows = 2, .max_epochs = 0, .seed = 1}};
  options.policy.weights = {1};
  options.r_star = 3;
  Mixture mixture(options);
  ASSERT_TRUE(mixture.step(8));  // 4 epochs: 3 repeats

  mixture.observe(0, RewardKind::alignment, 0.5);

  EXPECT_DOUBLE_EQ(mixture.log()["weight"][0].get<double>(), std::exp(-1));
  EXPECT_EQ(mixture.log()["reward"][0], 0.5);
  EXPECT_DOUBLE_EQ(mixture.state()["policy"]["mean"][0].get<double>(), 0.5 * 0.75 * std::exp(-1));
}

TEST(Mixture, IsDrawnByWeightsUntilItsWarmUpIsOver) {
  MixtureOptions options = three_sources(PolicyKind::odm);
  options.sources[1].max_epochs = 0;
  options.warmup = 4;
  Mixture mixture(options);
  const Json by_weights = {0.25, 0.5, 0.25};

  EXPECT_EQ(mixture.log()["p"], by_weights);
  ASSERT_TRUE(mixture.step(3));
  mixture.end_step();
  EXPECT_EQ(mixture.log()["p"], by_weights);
  Mixture resumed(options);
  resumed.load(mixture.state());
  EXPECT_EQ(resumed.log()["p"], by_weights);
  for (Mixture* each : {&mixture, &resumed}) {
    ASSERT_TRUE(each->step(1));
    each->end_step();
    for (const Json& p : each->log()["p"]) EXPECT_NEAR(p.get<double>(), 1.0 / 3, 1e-15);
  }
}

class EveryMixture : public testing::TestWithParam<PolicyKind> {};

TEST_P(EveryMixture, GoesOnFromAStoredStateAsIfItHadNeverStopped) {
  MixtureOptions options = three_sources(GetParam());
  options.pulls = 2;
  options.warmup = 119;  // to the 24th step
  options.policy.quota = false;
  options.r_star = 15;
  Mixture straight(options);
  const auto step = [](Mixture& mixture) {
    const auto parts = mixture.step(5);
    for (const Part& part : *parts)
      mixture.observe(part.arm, RewardKind::alignment, 0.1 * static_cast<double>(part.arm));
    mixture.end_step();
    std::vector<std::uint32_t> windows;
    for (const Part& part : *parts)
      windows.insert(windows.end(), part.windows.begin(), part.windows.end());
    return windows;
  };
  for (int i = 0; i < 23; ++i) step(straight);
  Mixture resumed(options);
  resumed.load(parse_json(canonical_json(straight.state()).value(), "state").value());

  for (int i = 0; i < 23; ++i) EXPECT_EQ(step(resumed), step(straight));
  EXPECT_EQ(resumed.log(), straight.log());
  EXPECT_EQ(resumed.state(), straight.state());
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         EveryMixture,
                         testing::Values(PolicyKind::fixed,
                                         PolicyKind::proportional,
                                         PolicyKind::exp3,
                                         PolicyKind::ucb1,
                                         PolicyKind::odm));

TEST(SourceSeeds, DifferByDataAndByRun) {
  const std::string a(64, 'a'), b(64, 'b');
  EXPECT_NE(source_seed(1, a), source_seed(1, b));
  EXPECT_NE(source_seed(1, a), source_seed(2, a));
  EXPECT_NE(source_seed(1, a), 1U);
}

}  // namespace
}  // namespace ration::data
