#include "plan/remedies/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ration::plan {
namespace {

TEST(BootstrapMeans, ReachAsFarAsStudentsT) {
  // Normal scores of 9 values: their bootstrap is nearly normal.
  const std::vector<double> values = {-1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28};

  const Amount drawn = amount_of(bootstrap_means(values, {.draws = 10000}, 0), 0.95);
  const Amount expected = student(values, 0.95);

  EXPECT_NEAR(*drawn.low, *expected.low, 0.03 * std::abs(*expected.low));
  EXPECT_NEAR(*drawn.high, *expected.high, 0.03 * std::abs(*expected.high));
}

TEST(BootstrapMeans, AreSharedWithinASettingAndNotBetweenSettings) {
  const std::vector<double> values = {1, 2, 4, 8, 16};
  std::vector<double> doubled = values;
  for (double& value : doubled) value *= 2;

  const std::vector<double> first = bootstrap_means(values, {}, 3);
  const std::vector<double> second = bootstrap_means(doubled, {}, 3);

  for (std::size_t b = 0; b < first.size(); ++b) EXPECT_NEAR(second[b], 2 * first[b], 1e-12);
  EXPECT_NE(bootstrap_means(values, {}, 4), first);
}

TEST(StudentsT, HasTheTabulatedReach) {
  const std::vector<double> values = {1, 2, 3, 4, 5};  // sd sqrt(2.5), t_0.975 of 4 = 2.776

  const Amount found = student(values, 0.95);

  EXPECT_DOUBLE_EQ(found.value, 3);
  EXPECT_NEAR(*found.high - 3, 2.7764 * std::sqrt(2.5 / 5), 1e-4);
  EXPECT_NEAR(p_of(2.7764, 1, 4), 0.05, 1e-5);
  EXPECT_EQ(p_of(1, 1, 0), 1);
}

TEST(HolmsAdjustment, IsThatOfItsDefinition) {
  const std::vector<double> p = {0.01, 0.04, 0.03, 0.005};  // times 3, 1, 2, 4, then rising

  const std::vector<double> adjusted = holm(p);

  EXPECT_NEAR(adjusted[3], 0.02, 1e-12);
  EXPECT_NEAR(adjusted[0], 0.03, 1e-12);
  EXPECT_NEAR(adjusted[2], 0.06, 1e-12);
  EXPECT_NEAR(adjusted[1], 0.06, 1e-12);
}

TEST(IntervalsOfDraws, AreOpenWhereTheirEndsAreInfinite) {
  std::vector<double> draws(100, HUGE_VAL);
  for (std::size_t i = 0; i < 90; ++i) draws[i] = static_cast<double>(i);
  draws.push_back(NAN);

  const Amount found = amount_of(draws, 0.95);

  EXPECT_NEAR(found.value, 49.5, 1e-12);
  EXPECT_TRUE(found.low);
  EXPECT_FALSE(found.high);
}

}  // namespace
}  // namespace ration::plan
