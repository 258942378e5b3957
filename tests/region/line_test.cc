#include "region/line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"

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

TEST(Profile, TellsByHowMuchTheLowestIsBelowTheBetterEnd) {
  const std::vector<double> alphas = {0, 0.5, 1};

  EXPECT_DOUBLE_EQ(profile(alphas, std::vector<double>{3, 1.5, 2}).below_ends, 0.5);
  EXPECT_DOUBLE_EQ(profile(alphas, std::vector<double>{kInfinity, 1.5, 2}).below_ends, 0.5);
  EXPECT_EQ(profile(alphas, std::vector<double>{1, 3, 2}).below_ends, 0);
}

constexpr std::size_t kWindows = 24;

// Windows of losses `loss` + what each window has at every alpha + some noise.
OfWindows windows_of(const std::vector<double>& alphas,
                     double (*loss)(double),
                     double noise,
                     std::uint64_t seed) {
  Stream common(seed, StreamId::init), own(seed, StreamId::directions);
  std::vector<double> of_window;
  for (std::size_t w = 0; w < kWindows; ++w) of_window.push_back(common.normal());
  OfWindows windows;
  for (const double alpha : alphas) {
    windows.emplace_back();
    for (std::size_t w = 0; w < kWindows; ++w)
      windows.back().push_back(loss(alpha) + of_window[w] + noise * own.normal());
  }
  return windows;
}

double hill(double alpha) { return 4 - 2 * alpha + 1.2 * alpha * (1 - alpha); }  // barrier 0.3
double flat(double) { return 2; }

TEST(LineIntervals, LeaveOutWhatWindowsHaveInCommon) {
  const std::vector<double> alphas = {0, 0.25, 0.5, 0.75, 1};

  const LineIntervals found = line_intervals(alphas, windows_of(alphas, hill, 0, 1));

  EXPECT_EQ(found.alphas, (std::vector<double>{0.25, 0.5, 0.75}));
  EXPECT_NEAR(found.excess[1], 0.3, 1e-12);
  EXPECT_NEAR(found.barrier.low, 0.3, 1e-12);
  EXPECT_NEAR(found.barrier.high, 0.3, 1e-12);
  EXPECT_NEAR(found.below_ends.high, 0, 1e-12);  // 2 at alpha = 1
}

TEST(LineIntervals, HoldTheBarrierAsOftenAsTheySay) {
  const std::vector<double> alphas = {0, 0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9, 1};
  constexpr int kSets = 200;
  int held = 0, zero = 0, drop = 0;

  for (std::uint64_t set = 0; set < kSets; ++set) {
    const Resampling how{.draws = 400, .seed = set, .threads = 1};
    const Interval of_hill =
        line_intervals(alphas, windows_of(alphas, hill, 0.2, set), how).barrier;
    held += of_hill.low <= 0.3 && 0.3 <= of_hill.high;
    const LineIntervals of_flat = line_intervals(alphas, windows_of(alphas, flat, 0.2, set), how);
    zero += of_flat.barrier.low == 0;
    drop += of_flat.below_ends.low == 0;
  }

  // At least 0.95, for what holds at all alphas holds at the largest; three standard errors less.
  EXPECT_GE(held, 0.90 * kSets);
  EXPECT_GE(zero, 0.90 * kSets);
  EXPECT_GE(drop, 0.90 * kSets);
}

TEST(LineIntervals, AreMissingWhereAnEndHasNoFiniteLoss) {
  const std::vector<double> alphas = {0, 0.5, 1};
  OfWindows windows = windows_of(alphas, hill, 0, 1);
  windows[2][5] = kInfinity;

  const LineIntervals found = line_intervals(alphas, windows);

  EXPECT_FALSE(found.barrier.known());
  EXPECT_FALSE(found.below_ends.known());
}

TEST(LineIntervals, OfTheLowestPassOverInfiniteLosses) {
  const std::vector<double> alphas = {0, 0.5, 1};
  OfWindows windows = windows_of(
      alphas, [](double a) { return 2 - a * (1 - a); }, 0, 1);
  windows.insert(windows.begin(), std::vector<double>(kWindows, kInfinity));

  const LineIntervals found = line_intervals(std::vector<double>{-16, 0, 0.5, 1}, windows);

  EXPECT_NEAR(found.below_ends.low, 0.25, 1e-12);
  EXPECT_NEAR(found.below_ends.high, 0.25, 1e-12);
}

}  // namespace
}  // namespace ration::region
