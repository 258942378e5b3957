#include "plan/next.h"

#include <gmock/gmock.h>

#include <cmath>

#include "fit/support.h"

namespace ration::plan {
namespace {

const fit::Law& law() { return *fit::find_law("data-constrained"); }
const fit::Coordinates kTruth = {6.2, 7.3, 0.6, 0.35, 0.37, std::log(15.0), std::log(6.0)};

const fit::Fit& fitted() {
  static const fit::Fit fit = [] {
    fit::Options options;
    options.resamples = 0;
    options.profile_points = 0;
    return fit::fit_law(test::simulated_runs(law(), kTruth, 0.005), options).value();
  }();
  return fit;
}

fit::Points candidates(int per_axis) {
  fit::Points points;
  for (int i = 0; i < per_axis; ++i)
    for (int j = 0; j < per_axis; ++j)
      points.add(Params(1e8 * std::exp(0.1 * i)),
                 Tokens(5e9 * std::exp(0.1 * j)),
                 Tokens(2e9 * std::exp(0.03 * j)));
  return points;
}

NextRequest request(int count) {
  NextRequest request{.plan = {.budget = Flops(1e21), .unique = Tokens(1e10)}};
  request.choosing.count = count;
  request.choosing.spend = 1e21;
  return request;
}

TEST(NextRuns, MakeThePlanSurer) {
  const NextRuns next = choose_next(fitted(), candidates(20), request(5)).value();

  EXPECT_EQ(next.selection.runs.size(), 5U);
  EXPECT_LT(next.selection.outlook.error_after, next.selection.outlook.error_before);
  EXPECT_LE(next.selection.spent, 1e21);
  EXPECT_NEAR(next.noise, 0.005, 0.002);
}

TEST(NextRuns, MakeTheSettingsSurerThatAreAskedFor) {
  NextRequest near = request(1);
  near.targets.add(Params(1e8), Tokens(5e9), Tokens(2e9));
  NextRequest far = near;
  far.targets = {};
  far.targets.add(Params(6e8), Tokens(3e10), Tokens(3.5e9));
  near.choosing.gamma = far.choosing.gamma = 0;  // whatever it costs

  const std::size_t of_near =
      choose_next(fitted(), candidates(20), near).value().selection.runs.at(0).candidate;
  const std::size_t of_far =
      choose_next(fitted(), candidates(20), far).value().selection.runs.at(0).candidate;

  // Each question is answered best where it is asked: at one of the ends of the candidates.
  const fit::Points points = candidates(20);
  EXPECT_LT(points.log_params[of_near], points.log_params[of_far]);
  EXPECT_LT(points.log_tokens[of_near], points.log_tokens[of_far]);
}

TEST(NextRuns, AreNotThoseThatWereTrained) {
  fit::Points points = fitted().observed;
  points.add(Params(3e9), Tokens(2e10), Tokens(1e10));

  const NextRuns next = choose_next(fitted(), points, request(5)).value();

  ASSERT_EQ(next.selection.runs.size(), 1U);
  EXPECT_EQ(next.selection.runs[0].candidate, points.size() - 1);
}

TEST(NextRuns, MayBeChosenForTheDecision) {
  NextRequest wanted = request(3);
  wanted.choosing.gain = fit::Gain::decision;

  const NextRuns next = choose_next(fitted(), candidates(20), wanted).value();

  EXPECT_EQ(next.selection.runs.size(), 3U);
  for (const fit::Chosen& run : next.selection.runs) EXPECT_GT(run.gain, 0);
}

TEST(NextRuns, NeedAFitThatHoldsItsRuns) {
  fit::Fit old = fitted();
  old.observed = {};

  const Result<NextRuns> next = choose_next(old, candidates(3), request(1));

  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind, ErrorKind::input);
}

TEST(NextRuns, SayWhenNothingIsAffordable) {
  NextRequest poor = request(1);
  poor.choosing.spend = 1e12;

  const Result<NextRuns> next = choose_next(fitted(), candidates(3), poor);

  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().describe(), testing::HasSubstr("--spend"));
}

}  // namespace
}  // namespace ration::plan
