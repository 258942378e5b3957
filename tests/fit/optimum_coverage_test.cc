// Do 90 % intervals of the classical procedures hold the truth? Runs and curves are simulated from
// a law whose best sizes are known in closed form.

#include <gtest/gtest.h>

#include <iostream>

#include "base/parallel.h"
#include "fit/envelope.h"
#include "fit/isoflop.h"
#include "fit/optimum_runs.h"

namespace ration::fit {
namespace {

using test::kBaseLaw;

struct Held {
  double exponent = 0, params = 0;  // shares of the intervals that hold the truth, in per cent
};

template <class Simulate>
Held share_held(int trials, const Simulate& simulate) {
  std::vector<Held> held(static_cast<std::size_t>(trials));
  parallel_for(held.size(), 0, [&](std::size_t trial) {
    const std::optional<OptimumLine> line = simulate(trial);
    if (!line) return;
    const auto holds = [](const Prediction& p, double truth) {
      return *p.low <= truth && truth <= *p.high ? 100.0 : 0.0;
    };
    held[trial] = {holds(line->exponent(), kBaseLaw.exponent()),
                   holds(line->at(Flops(1e22)).params, kBaseLaw.best_params(1e22))};
  });
  Held mean;
  for (const Held& h : held) mean.exponent += h.exponent / trials, mean.params += h.params / trials;
  std::cout << "exponent " << mean.exponent << " %, N_opt " << mean.params << " % held\n";
  return mean;
}

struct IsoflopCase {
  const char* name;
  test::IsoflopPlan plan;
  ProfileCurve curve;
};

std::ostream& operator<<(std::ostream& out, const IsoflopCase& c) { return out << c.name; }

class IsoflopCoverage : public testing::TestWithParam<IsoflopCase> {};

// Of 400 trials a true 90 % is seen as 86 to 94 % in 99 of 100 repetitions. The scatter between few
// levels is itself uncertain, which costs some per cents where they are four; interpolants make the
// noise count twice, which widens.
TEST_P(IsoflopCoverage, IsNearNinetyPercent) {
  const Held held = share_held(400, [](std::size_t trial) {
    test::IsoflopPlan plan = GetParam().plan;
    plan.seed = trial + 1;
    Result<Isoflop> found = fit_isoflop(test::isoflop_runs(plan),
                                        {.curve = GetParam().curve,
                                         .tolerance = 0.01,
                                         .draws = {.resamples = 400, .seed = trial, .threads = 1}});
    return found ? found->line : std::nullopt;
  });

  EXPECT_GE(held.exponent, 84);
  EXPECT_GE(held.params, 84);
  const double most = GetParam().curve == ProfileCurve::parabola ? 97 : 100;
  EXPECT_LE(held.exponent, most);
  EXPECT_LE(held.params, most);
}

INSTANTIATE_TEST_SUITE_P(
    Sweeps,
    IsoflopCoverage,
    testing::Values(IsoflopCase{"Parabola", {.noise = 0.003}, ProfileCurve::parabola},
                    IsoflopCase{"ParabolaLargeNoise", {.noise = 0.01}, ProfileCurve::parabola},
                    IsoflopCase{"ParabolaFewRuns",
                                {.noise = 0.003, .levels = 4, .sizes = 5, .ratio = 2},
                                ProfileCurve::parabola},
                    IsoflopCase{
                        "ParabolaLopsided", {.noise = 0.003, .shift = 1.5}, ProfileCurve::parabola},
                    IsoflopCase{"Akima", {.noise = 0.003}, ProfileCurve::akima}),
    [](const auto& c) { return std::string(c.param.name); });

// Curves drawn with replacement leave some out, so that the intervals are on the safe side.
TEST(EnvelopeCoverage, IsNinetyPercentOrMore) {
  const Held held = share_held(200, [](std::size_t trial) {
    Result<Envelope> found = fit_envelope(
        test::training_curves({.run_noise = 0.003, .checkpoint_noise = 0.001, .seed = trial + 1}),
        {.grid = 500, .draws = {.resamples = 200, .seed = trial, .threads = 1}});
    return found ? found->line : std::nullopt;
  });

  // Of 200 trials a true 90 % is seen as 85 or more in 99 of 100 repetitions.
  EXPECT_GE(held.exponent, 85);
  EXPECT_GE(held.params, 85);
}

}  // namespace
}  // namespace ration::fit
