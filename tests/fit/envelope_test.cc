#include "fit/envelope.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "fit/optimum_file.h"
#include "fit/optimum_runs.h"

namespace ration::fit {
namespace {

using test::kBaseLaw;
using test::training_curves;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

Envelope found_in(const std::vector<Observation>& rows, const EnvelopeOptions& options = {}) {
  Result<Envelope> found = fit_envelope(rows, options);
  if (!found) throw std::runtime_error(found.error().describe());
  return std::move(*found);
}

auto doubt_on(const std::string& subject, const std::string& words, bool fatal) {
  return Contains(AllOf(Field(&Doubt::subject, subject),
                        Field(&Doubt::what, HasSubstr(words)),
                        Field(&Doubt::fatal, fatal)));
}

TEST(Envelope, RecoversTheExponentOfTheLawThatMadeTheCurves) {
  const Envelope exact = found_in(training_curves({}));
  const Envelope noisy = found_in(training_curves({.run_noise = 0.002, .checkpoint_noise = 0.001}));

  // Each size wins about the compute where it is best; 1500 values of C place the ends of its range
  // within 0.01 in ln C, over a range of 12.
  EXPECT_NEAR(exact.line->best.exponent, kBaseLaw.exponent(), 0.002);
  for (const Envelope* found : {&exact, &noisy}) {
    const Prediction p = found->line->exponent(), n = found->line->at(Flops(1e22)).params;
    EXPECT_LE(*p.low, kBaseLaw.exponent());
    EXPECT_GE(*p.high, kBaseLaw.exponent());
    EXPECT_LT(*p.high - *p.low, 0.12) << "an interval that says something";
    EXPECT_LE(*n.low, kBaseLaw.best_params(1e22));
    EXPECT_GE(*n.high, kBaseLaw.best_params(1e22));
    EXPECT_TRUE(found->trusted());
  }
}

TEST(Envelope, CorrectsTheFlatnessOfARegressionOverSteps) {
  // K equal steps are too flat by 1/K^2: sizes twice as far apart show it clearly.
  const Envelope found =
      found_in(training_curves({.sizes = 7, .ratio = 2}), {.draws = {.resamples = 0}});

  const auto steps = static_cast<double>(found.steps.size());
  ASSERT_EQ(steps, 5) << "all but the least and the largest size";
  EXPECT_NEAR(found.line->best.exponent, kBaseLaw.exponent(), 0.003);
  EXPECT_NEAR(found.plain_exponent, kBaseLaw.exponent() * (1 - 1 / (steps * steps)), 0.003);
}

TEST(Envelope, TakesTheLowestCurveAtEveryComputeAsABruteForceDoes) {
  const std::vector<Observation> rows = training_curves({.sizes = 6});
  const Envelope found = found_in(rows, {.grid = 200, .smooth = 0, .draws = {.resamples = 0}});

  ASSERT_EQ(found.points.size(), 200);
  const auto size_index = [](double params) {
    return std::lround(std::log(params / 5e7) / std::log(1.6));
  };
  int interior = 0;
  for (const EnvelopePoint& point : found.points) {
    double least = 1e9, best = 0;
    std::set<double> reach;
    for (int size = 0; size < 6; ++size) {
      const double params = 5e7 * std::pow(1.6, size);
      const double tokens = tokens_for(point.flops, Params(params)).value;
      constexpr double kRounding = 1e-9;
      if (tokens > 128 * params * (1 + kRounding) || tokens < 0.02 * 16 * params * (1 - kRounding))
        continue;
      reach.insert(params);
      const double loss = kBaseLaw.loss(params, tokens);
      if (loss < least) least = loss, best = params;
    }
    // The interpolant follows the law within 1e-5 nats: sizes closer than that may change places.
    EXPECT_NEAR(point.loss.value, least, 1e-4);
    if (std::abs(point.params.value / best - 1) > 1e-9) continue;
    const bool inside = best > *reach.begin() && best < *reach.rbegin();
    const bool outermost = size_index(best) == 0 || size_index(best) == 5;
    if (inside) {
      EXPECT_FALSE(point.edge) << point.flops.value;
    }
    if (outermost) {
      EXPECT_TRUE(point.edge) << point.flops.value;
    }
    interior += inside ? 1 : 0;
  }
  EXPECT_GT(interior, 50);
}

TEST(Envelope, SmoothsTheNoiseOfCheckpointsAway) {
  const auto roughness = [](const Envelope& found) {
    double sum = 0;
    for (const EnvelopePoint& point : found.points)
      sum +=
          std::pow(point.loss.value / kBaseLaw.loss(point.params.value,
                                                    tokens_for(point.flops, point.params).value) -
                       1,
                   2);
    return std::sqrt(sum / static_cast<double>(found.points.size()));
  };
  const std::vector<Observation> rows =
      training_curves({.checkpoint_noise = 0.01, .horizons = 1, .checkpoints = 400});

  // 400 checkpoints over a factor of 50 lie 0.01 apart in ln C: weights of width 0.1 average
  // about 35.
  EXPECT_LT(roughness(found_in(rows, {.draws = {.resamples = 0}})),
            roughness(found_in(rows, {.smooth = 0, .draws = {.resamples = 0}})) / 3);
}

TEST(Envelope, WarnsOfWinnersWhoseCurveGoesOn) {
  // Of a single horizon per size the winners lie in the middle of their curves.
  std::vector<Observation> rows = training_curves({.horizons = 4});
  std::erase_if(rows, [](const Observation& row) { return !row.run.ends_with("/3"); });

  const Envelope found = found_in(rows, {.draws = {.resamples = 0}});

  EXPECT_GT(found.before_end, 0.5);
  EXPECT_THAT(found.doubts, doubt_on("schedule", "learning rate", false));
}

TEST(Envelope, IsNotTrustedWhereOnlyEdgesWin) {
  const Envelope found = found_in(training_curves({.sizes = 3}));

  EXPECT_FALSE(found.trusted());
  EXPECT_FALSE(found.line);
  EXPECT_THAT(found.doubts, doubt_on("sizes", "a line needs two sizes", true));
}

TEST(Envelope, NamesRunsThatAreNoCurves) {
  std::vector<Observation> rows = training_curves({.sizes = 2, .horizons = 1});
  rows.front().params = Params(1e6);
  const Result<Envelope> changed = fit_envelope(rows);
  for (Observation& row : rows) row.run.clear();
  const Result<Envelope> single = fit_envelope(rows);

  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().kind, ErrorKind::input);
  EXPECT_THAT(changed.error().describe(), HasSubstr("run 0/0: its checkpoints have"));
  ASSERT_FALSE(single);
  EXPECT_EQ(single.error().kind, ErrorKind::input);
  EXPECT_THAT(single.error().describe(),
              AllOf(HasSubstr("no run has 4 checkpoints"), HasSubstr("run_id")));
}

TEST(Envelope, DependsNeitherOnTheOrderOfRowsNorOnThreads) {
  std::vector<Observation> rows = training_curves({.run_noise = 0.002, .sizes = 7});
  const std::vector<Flops> budgets = {Flops(1e22)};
  const Json first = to_json(found_in(rows, {.draws = {.resamples = 50, .threads = 1}}), budgets);
  std::reverse(rows.begin(), rows.end());
  std::swap(rows[3], rows[300]);

  EXPECT_EQ(to_json(found_in(rows, {.draws = {.resamples = 50, .threads = 3}}), budgets), first);
}

}  // namespace
}  // namespace ration::fit
