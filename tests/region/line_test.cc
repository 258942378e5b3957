#include "region/line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ration::region {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> losses_of(const std::vector<double>& alphas, double (*loss)(double)) {
  std::vector<double> losses;
  for (const double alpha : alphas) losses.push_back(loss(alpha));
  return losses;
}

TEST(LineAlphas, AreTenthsAndDoublingStepsBeyondBothEnds) {
  const std::vector<double> alphas = line_alphas();

  EXPECT_EQ(alphas.size(), 27U);
  EXPECT_TRUE(std::is_sorted(alphas.begin(), alphas.end()));
  for (const double alpha : {0.0, 0.3, 1.0, 1.125, 17.0, -0.125, -16.0})
    EXPECT_EQ(std::count(alphas.begin(), alphas.end(), alpha), 1) << alpha;
}

TEST(Profile, HasNoBarrierWhereTheLossIsConvex) {
  const std::vector<double> alphas = line_alphas();

  const Profile found =
      profile(alphas, losses_of(alphas, [](double a) { return 2 + (a - 0.4) * (a - 0.4); }));

  EXPECT_EQ(found.barrier, 0);
  EXPECT_EQ(found.barrier_at, 0);
  EXPECT_DOUBLE_EQ(found.lowest, 2);
  EXPECT_EQ(found.lowest_at, 0.4);
}

TEST(Profile, MeasuresABarrierAboveTheChord) {
  const std::vector<double> alphas = line_alphas();

  // A chord from 1 to 3 with 4 a (1 - a) on it.
  const Profile found =
      profile(alphas, losses_of(alphas, [](double a) { return 1 + 2 * a + 4 * a * (1 - a); }));

  EXPECT_DOUBLE_EQ(found.barrier, 1);
  EXPECT_EQ(found.barrier_at, 0.5);
}

TEST(Profile, HasNoBarrierWhereNothingWasMeasuredBetweenTheEnds) {
  const Profile found = profile(std::vector<double>{0, 1, 2}, std::vector<double>{2, 3, 1});

  EXPECT_TRUE(std::isnan(found.barrier));
  EXPECT_TRUE(std::isnan(found.barrier_at));
  EXPECT_EQ(found.lowest_at, 2);
}

TEST(Profile, TakesLossesThatAreNoneForInfinite) {
  const std::vector<double> alphas = {-1, 0, 0.5, 1, 2};
  const double none = std::numeric_limits<double>::quiet_NaN();

  const Profile found = profile(alphas, std::vector<double>{none, 2, none, 1, kInfinity});

  EXPECT_EQ(found.barrier, kInfinity);
  EXPECT_EQ(found.barrier_at, 0.5);
  EXPECT_EQ(found.lowest, 1);
  EXPECT_TRUE(std::isnan(profile(alphas, std::vector<double>{1, none, 1, 1, 1}).barrier));
}

}  // namespace
}  // namespace ration::region
