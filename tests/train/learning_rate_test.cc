#include "train/learning_rate.h"

#include <gtest/gtest.h>

#include "support/vectors.h"

namespace ration::train {
namespace {

void expect_schedule(const Json& expected, ScheduleKind kind) {
  const LearningRate rate{.kind = kind,
                          .peak = expected["peak"],
                          .final_fraction = expected["min_frac"],
                          .steps = expected["total"],
                          .warmup = expected["warmup"],
                          .decay = expected.value("decay", 0)};
  ASSERT_EQ(expected["lr"].size(), expected["total"].get<std::size_t>());
  for (std::size_t s = 0; s < expected["lr"].size(); ++s) {
    const double want = expected["lr"][s];
    EXPECT_NEAR(
        rate.at(static_cast<std::int64_t>(s)), want, 1e-12 * std::max(want, rate.peak * 1e-3))
        << "step " << s;
  }
}

TEST(LearningRate, FollowsTheReferenceCosine) {
  expect_schedule(test::vectors("sampler_reference.json")["schedules"]["cosine"],
                  ScheduleKind::cosine);
}

TEST(LearningRate, FollowsTheReferenceWarmupStableDecay) {
  expect_schedule(test::vectors("sampler_reference.json")["schedules"]["wsd_1_minus_sqrt"],
                  ScheduleKind::wsd);
}

TEST(LearningRate, EndsACosineExactlyAtItsFinalFraction) {
  run::RunSpec spec;
  spec.lr = 2e-4;
  spec.final_lr_fraction = 0.1;

  EXPECT_DOUBLE_EQ(learning_rate(spec, 1000).at(999), 2e-5);
}

TEST(LearningRate, SurvivesARunOfOneStep) {
  run::RunSpec spec;
  spec.lr = 1;

  EXPECT_GT(learning_rate(spec, 1).at(0), 0);
}

}  // namespace
}  // namespace ration::train
