#include "region/intervals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace ration::region {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Series of normal numbers about 0 that share half of their variance, as losses of one window do.
OfWindows noise(std::size_t series, std::size_t windows, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  OfWindows all(series, std::vector<double>(windows));
  for (std::size_t w = 0; w < windows; ++w) {
    const double common = stream.normal();
    for (std::vector<double>& each : all) each[w] = (common + stream.normal()) / std::sqrt(2.0);
  }
  return all;
}

bool holds(const Interval& interval, double truth) {
  return interval.low <= truth && truth <= interval.high;
}

TEST(SimultaneousIntervals, HoldAllMeansAtOnceAsOftenAsTheySay) {
  constexpr int kSets = 400;
  int all = 0, first = 0;

  for (std::uint64_t set = 0; set < kSets; ++set) {
    const std::vector<Interval> found =
        simultaneous_intervals(noise(6, 24, set), {.draws = 400, .seed = set, .threads = 1});
    all += std::all_of(found.begin(), found.end(), [](const Interval& i) { return holds(i, 0); });
    first += holds(found.front(), 0);
  }

  // Three standard errors of a share of 0.95 in 400 sets are 0.033.
  EXPECT_NEAR(all / double{kSets}, 0.95, 0.033);
  EXPECT_GT(first, all);  // each by itself is surer
}

TEST(SimultaneousIntervals, OfOneSeriesAreThoseOfStudent) {
  double ratio = 0;
  constexpr int kSets = 60;

  for (std::uint64_t set = 0; set < kSets; ++set) {
    const OfWindows series = noise(1, 20, set);
    const Interval found = simultaneous_intervals(series, {.seed = set, .threads = 1}).front();
    double squares = 0;
    const double mean = (found.low + found.high) / 2;
    for (const double value : series[0]) squares += (value - mean) * (value - mean);
    const double student = 2.093 * std::sqrt(squares / 19 / 20);  // 19 degrees of freedom
    ratio += (found.high - found.low) / 2 / student / kSets;
  }

  EXPECT_NEAR(ratio, 1, 0.05);  // the mean over sets; one set alone is off by a tenth
}

TEST(SimultaneousIntervals, HaveNoWidthWhereNothingVaries) {
  OfWindows series = noise(2, 16, 1);
  series[1].assign(16, 0.1);  // whose mean is rounded

  const std::vector<Interval> found = simultaneous_intervals(series);

  EXPECT_DOUBLE_EQ(found[1].low, 0.1);
  EXPECT_DOUBLE_EQ(found[1].high, 0.1);
  EXPECT_LT(found[0].low, found[0].high);
}

TEST(SimultaneousIntervals, AreMissingWithoutEnoughWindowsOrFiniteNumbers) {
  OfWindows infinite = noise(2, 16, 1);
  infinite[1][3] = kInfinity;

  EXPECT_FALSE(simultaneous_intervals(noise(2, 3, 1)).front().known());
  EXPECT_FALSE(simultaneous_intervals(infinite).front().known());
  EXPECT_TRUE(simultaneous_intervals({}).empty());
}

TEST(SimultaneousIntervals, AreTheSameForAnyNumberOfThreads) {
  const OfWindows series = noise(3, 16, 1);

  const std::vector<Interval> one = simultaneous_intervals(series, {.threads = 1});
  const std::vector<Interval> three = simultaneous_intervals(series, {.threads = 3});

  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].low, three[i].low);
    EXPECT_EQ(one[i].high, three[i].high);
  }
}

TEST(PercentileInterval, OfAMeanIsThatOfANormalDistribution) {
  const OfWindows series = noise(1, 400, 1);
  double squares = 0, mean = 0;
  for (const double value : series[0]) mean += value / 400;
  for (const double value : series[0]) squares += (value - mean) * (value - mean);
  const double error = std::sqrt(squares) / 400;

  const Interval found =
      percentile_interval(series, [](std::span<const double> means) { return means[0]; });

  // Of 2000 draws, 1.96 is known to about 0.1.
  EXPECT_NEAR((mean - found.low) / error, 1.96, 0.15);
  EXPECT_NEAR((found.high - mean) / error, 1.96, 0.15);
}

TEST(PercentileInterval, ResamplesTheSameWindowsForAllSeries) {
  OfWindows series = noise(2, 32, 1);
  for (std::size_t w = 0; w < 32; ++w) series[1][w] = series[0][w] + 0.25;

  const Interval found = percentile_interval(
      series, [](std::span<const double> means) { return means[1] - means[0]; });

  EXPECT_NEAR(found.low, 0.25, 1e-12);
  EXPECT_NEAR(found.high, 0.25, 1e-12);
}

TEST(PercentileInterval, TakesInfiniteLosses) {
  OfWindows series = noise(2, 16, 1);
  series[1][0] = kInfinity;

  const Interval found = percentile_interval(
      series, [](std::span<const double> means) { return std::isinf(means[1]) ? 1.0 : 0.0; });

  // A draw leaves one of 16 windows out with a chance of (15/16)^16 = 0.36.
  EXPECT_EQ(found.low, 0);
  EXPECT_EQ(found.high, 1);
}

}  // namespace
}  // namespace ration::region
