#include "plan/replay.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fit/support.h"

namespace ration::plan {
namespace {

std::vector<fit::Observation> runs() {
  return test::simulated_runs(
      *fit::find_law("data-constrained-data"), {6.2, 7.3, 0.6, 0.35, 0.37, std::log(15.0)}, 0.003);
}

ReplayOptions options(double budget) {
  ReplayOptions options;
  options.laws = {"data-constrained-data"};
  options.budget = budget;
  options.repeats = 3;
  return options;
}

const Score& of(const std::vector<Score>& scores, Strategy strategy) {
  return *std::find_if(
      scores.begin(), scores.end(), [&](const Score& s) { return s.strategy == strategy; });
}

TEST(Replay, FindsThatDesignBeatsCheapestFirstWhereTheLawIsTrue) {
  const std::vector<Score> scores = replay(runs(), options(0.1)).value();

  const Score& design = of(scores, Strategy::design);
  EXPECT_LE(design.spent, 0.1);
  EXPECT_GT(design.low, 0.95);
  EXPECT_LT(design.mean_error, of(scores, Strategy::cheapest).mean_error);
  EXPECT_EQ(of(scores, Strategy::all).runs, 87);  // four fifths of 108; a tenth of 120 is held out
}

TEST(Replay, DependsNotOnTheOrderOfRows) {
  std::vector<fit::Observation> shuffled = runs();
  std::reverse(shuffled.begin(), shuffled.end());
  ReplayOptions one_thread = options(0.05);
  one_thread.threads = 1;

  const std::vector<Score> a = replay(runs(), options(0.05)).value();
  const std::vector<Score> b = replay(shuffled, one_thread).value();

  for (std::size_t s = 0; s < a.size(); ++s) EXPECT_EQ(a[s].r_squared, b[s].r_squared);
}

TEST(Replay, RefusesWhatItCannotReplay) {
  std::vector<fit::Observation> few = runs();
  few.resize(10);

  EXPECT_FALSE(replay(few, options(0.1)));
  EXPECT_FALSE(replay(runs(), options(0)));
  EXPECT_FALSE(replay(runs(), options(1.5)));
  ReplayOptions wrong = options(0.1);
  wrong.offered = 0;
  EXPECT_FALSE(replay(runs(), wrong));
  wrong.offered = 1;
  wrong.misfit.reach = 0;
  EXPECT_FALSE(replay(runs(), wrong));
}

}  // namespace
}  // namespace ration::plan
