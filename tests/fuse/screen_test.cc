#include "fuse/screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fuse/quorum.h"

namespace ration::fuse {
namespace {

using testing::HasSubstr;
using testing::Optional;

Config defaults() { return {}; }

TEST(NormCheck, RefusesATaskVectorOfNothing) {
  const Norms norms{.round = {1, 0}, .history = {}, .base = 10};
  EXPECT_THAT(refuse_norm(defaults(), norms, 1), Optional(HasSubstr("no change")));
  EXPECT_FALSE(refuse_norm(defaults(), norms, 0));
}

TEST(NormCheck, KnowsOnlyAnAbsoluteBoundBelowFiveValues) {
  const Norms norms{.round = {1, 9, 11, 2}, .history = {}, .base = 10};
  EXPECT_FALSE(refuse_norm(defaults(), norms, 1));
  EXPECT_THAT(refuse_norm(defaults(), norms, 2), Optional(HasSubstr("norm_max")));
}

TEST(NormCheck, UsesTheRobustSpreadOfLogNormsFromFiveValuesOn) {
  // log norms -0.2, -0.1, 0, 0.1, x: the median is 0 (0.1 below it) and the MAD 0.1.
  const auto z_of = [](double x) {
    return Norms{.round = {std::exp(x)},
                 .history = {std::exp(-0.2), std::exp(-0.1), 1, std::exp(0.1)},
                 .base = 1e-9};
  };
  // 3.5 = 0.6745 x / 0.1 at x = 0.519, below the factor 2 that is always near; at 0.7 it is above.
  EXPECT_FALSE(refuse_norm(defaults(), z_of(0.51), 0));
  EXPECT_FALSE(refuse_norm(defaults(), z_of(0.69), 0)) << "within a factor of 2";
  EXPECT_THAT(refuse_norm(defaults(), z_of(0.70), 0), Optional(HasSubstr("z = 4.7")));
  Config strict;
  strict.norm_near = 1;
  EXPECT_FALSE(refuse_norm(strict, z_of(0.51), 0));
  EXPECT_TRUE(refuse_norm(strict, z_of(0.53), 0));
}

TEST(NormCheck, RefusesAlsoWhatIsFarTooSmall) {
  const Norms norms{.round = {0.001}, .history = {0.9, 1, 1.1, 1.2}, .base = 10};
  EXPECT_THAT(refuse_norm(defaults(), norms, 0), Optional(HasSubstr("below the median")));
}

TEST(NormCheck, FallsBackToARatioWhereTheSpreadIsNothing) {
  const auto norms = [](double norm) {
    return Norms{.round = {norm, 1, 1, 1, 1}, .history = {}, .base = 1e-9};
  };
  EXPECT_FALSE(refuse_norm(defaults(), norms(9.9), 0));
  EXPECT_THAT(refuse_norm(defaults(), norms(10.1), 0), Optional(HasSubstr("norm_ratio")));
  EXPECT_FALSE(refuse_norm(defaults(), norms(10.1), 1));
}

TEST(DirectionCheck, NeedsALowCosineAndANormAboveTheMedian) {
  const std::vector<double> norms = {1, 2, 3};
  EXPECT_FALSE(refuse_direction(defaults(), -0.9, 2, norms));
  EXPECT_FALSE(refuse_direction(defaults(), -0.4, 3, norms));
  EXPECT_TRUE(refuse_direction(defaults(), -0.6, 3, norms));
  EXPECT_FALSE(refuse_direction(defaults(), std::nan(""), 3, norms));
}

TEST(ProbeCheck, NeedsBothTheSlackAndThreeStandardErrors) {
  // Two contributions: the plain rule. Differences 0.4 ± d in pairs: mean 0.4, known error.
  const auto judged = [](double d) {
    const std::vector<double> before = {1, 2, 3, 4};
    const std::vector<double> after = {1.4 + d, 2.4 - d, 3.4 + d, 4.4 - d};
    return change(before, after);
  };
  const Change sure = judged(0.1);
  EXPECT_NEAR(sure.mean, 0.4, 1e-12);
  EXPECT_NEAR(sure.error, std::sqrt(0.04 / 3 / 4), 1e-12);
  EXPECT_THAT(refuse_probe(defaults(), std::vector{sure}, 0), Optional(HasSubstr("0.400 nats")));
  EXPECT_FALSE(refuse_probe(defaults(), std::vector{judged(0.5)}, 0)) << "0.4 is 1.4 errors";
  const std::vector<double> ones = {1, 1}, little = {1.19, 1.19};
  EXPECT_FALSE(refuse_probe(defaults(), std::vector{change(ones, little)}, 0));
}

TEST(ProbeCheck, AllowsWhatTheMedianContributionCosts) {
  const std::vector<Change> changes = {{0.5, 0.01}, {0.6, 0.01}, {0.55, 0.01}, {1.9, 0.01}};
  EXPECT_FALSE(refuse_probe(defaults(), changes, 0));
  EXPECT_FALSE(refuse_probe(defaults(), changes, 1));
  EXPECT_TRUE(refuse_probe(defaults(), changes, 3));
  // A round that improves does not lower the bar for others.
  const std::vector<Change> better = {{-0.5, 0.01}, {-0.6, 0.01}, {0.1, 0.01}};
  EXPECT_FALSE(refuse_probe(defaults(), better, 2));
}

TEST(ProbeCheck, RefusesLossesThatAreNotFinite) {
  const std::vector<double> before = {1, 1};
  const std::vector<double> after = {1, std::nan("")};
  EXPECT_TRUE(refuse_probe(defaults(), std::vector{change(before, after)}, 0));
  EXPECT_TRUE(worse(defaults(), change(before, after)));
}

TEST(Median, IsTheMiddleOrTheMeanOfTwo) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Decide, ClosesWhenAllAreInOrAtTheDeadlineWithAQuorum) {
  const Config config = defaults();  // half
  EXPECT_EQ(decide(config, {.of = 4, .in = 4, .coming = 0}), Next::close);
  EXPECT_EQ(decide(config, {.of = 4, .in = 3, .coming = 1}), Next::wait);
  EXPECT_EQ(decide(config, {.of = 4, .in = 2, .coming = 2, .past_deadline = true}), Next::close);
  EXPECT_EQ(decide(config, {.of = 4, .in = 2, .coming = 0}), Next::close) << "two failed";
  EXPECT_EQ(decide(config, {.of = 4, .in = 1, .coming = 0}), Next::stall);
}

TEST(Decide, FollowsThePolicyWhereTooFewAreIn) {
  const auto next = [](Stall policy, std::int64_t coming) {
    Config config;
    config.on_stall = policy;
    return decide(config, {.of = 4, .in = 1, .coming = coming, .past_deadline = true});
  };
  EXPECT_EQ(next(Stall::wait, 2), Next::wait) << "until the quorum is there";
  EXPECT_EQ(next(Stall::wait, 0), Next::stall);
  EXPECT_EQ(next(Stall::extend, 2), Next::extend);
  EXPECT_EQ(next(Stall::extend, 0), Next::stall) << "time helps nobody who failed";
  EXPECT_EQ(next(Stall::fuse_anyway, 2), Next::close);
  EXPECT_EQ(next(Stall::fuse_anyway, 0), Next::close);
  EXPECT_EQ(next(Stall::abort, 2), Next::abort);
}

}  // namespace
}  // namespace ration::fuse
