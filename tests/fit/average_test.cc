#include "fit/average.h"

#include <gmock/gmock.h>

#include <cmath>

#include "fit/fit_file.h"
#include "fit/support.h"

namespace ration::fit {
namespace {

const Coordinates kPlain = {6.2, 7.3, 0.6, 0.35, 0.37};

Candidate candidate(std::string_view law, const Coordinates& x, double distance) {
  return {.law = find_law(law), .x = x, .objective = 1, .distance = distance};
}

// A fit of `chinchilla`, chosen among `candidates`.
Fit chosen_fit(std::vector<Candidate> candidates) {
  Fit fit{.law = find_law("chinchilla"), .runs = 100, .objective = 1, .interval = 0.9};
  for (std::size_t j = 0; j < kPlain.size(); ++j)
    fit.parameters.push_back({.name = std::string(fit.law->parameters()[j].name),
                              .value = fit.law->parameters()[j].value(kPlain[j])});
  fit.candidates = std::move(candidates);
  return fit;
}

std::vector<double> values_of(const Coordinates& x) {
  const Law& law = *find_law("chinchilla");
  std::vector<double> values;
  for (std::size_t j = 0; j < x.size(); ++j) values.push_back(law.parameters()[j].value(x[j]));
  return values;
}

Points one_point() {
  Points points;
  points.add(Params(1e9), Tokens(2e10), Tokens(2e10));
  return points;
}

TEST(Average, WeighsLawsByTheRootOfTheirDistanceFromTheMedian) {
  const Average average = average_of(chosen_fit({candidate("chinchilla", kPlain, 0.01),
                                                 candidate("chinchilla", kPlain, 0.04),
                                                 candidate("chinchilla", kPlain, 0.09)}));

  ASSERT_EQ(average.modes.size(), 3U);
  EXPECT_NEAR(average.modes[0].weight / average.modes[1].weight, 2, 1e-12);
  EXPECT_NEAR(average.modes[0].weight / average.modes[2].weight, 3, 1e-12);
  EXPECT_NEAR(
      average.modes[0].weight + average.modes[1].weight + average.modes[2].weight, 1, 1e-12);
}

TEST(Average, WeighsLawsAlikeThatDifferByLessThanTheNoise) {
  const Average average = average_of(
      chosen_fit({candidate("chinchilla", kPlain, 0), candidate("chinchilla", kPlain, 0.0009)}));

  EXPECT_DOUBLE_EQ(average.modes[0].weight, 0.5);
}

TEST(Average, CallsLawsWithinReachUpToTwiceTheDistanceOfTheChosen) {
  const Candidate chosen = candidate("chinchilla", kPlain, 0.01);
  EXPECT_TRUE(within_reach(candidate("chinchilla", kPlain, 0.0199), chosen));
  EXPECT_FALSE(within_reach(candidate("chinchilla", kPlain, 0.0201), chosen));
}

// 100 runs and an objective 1 % higher: exp(-100 ln 1.01) = 0.37 of the credence.
TEST(Average, SharesTheWeightOfALawAmongItsMinima) {
  Fit fit = chosen_fit({candidate("chinchilla", kPlain, 1), candidate("chinchilla", kPlain, 1)});
  fit.minima = {{1, values_of(kPlain)}, {1.01, values_of(kPlain)}, {1.2, values_of(kPlain)}};

  const Average average = average_of(fit);

  ASSERT_EQ(average.modes.size(), 3U) << "the third minimum is not credible";
  EXPECT_NEAR(average.modes[1].weight / average.modes[0].weight, std::pow(1.01, -100), 1e-12);
  EXPECT_NEAR(average.modes[0].weight + average.modes[1].weight, 0.5, 1e-12);
}

TEST(Average, IsTheLawAloneWhereNothingElseIsWithinReach) {
  const Average average = average_of(chosen_fit({}));

  ASSERT_EQ(average.modes.size(), 1U);
  EXPECT_DOUBLE_EQ(average.modes[0].weight, 1);
  EXPECT_TRUE(average.draws.empty());
}

// Scaling A, B and E by c scales the loss by c: the average is the geometric mean.
TEST(Average, PredictsTheMeanOfLogLosses) {
  Coordinates scaled = kPlain;
  for (const std::size_t j : {0, 1, 2}) scaled[j] += 0.2;
  const Average average = average_of(
      chosen_fit({candidate("chinchilla", kPlain, 1), candidate("chinchilla", scaled, 1)}));

  const double alone =
      test::loss_at(*find_law("chinchilla"), kPlain, Params(1e9), Tokens(2e10), Tokens(2e10));
  EXPECT_NEAR(predict(average, one_point(), 0.9)[0].value, alone * std::exp(0.1), 1e-12);
}

TEST(Average, HasAnIntervalThatReachesAsFarAsTheLawsDisagree) {
  Coordinates scaled = kPlain;
  for (const std::size_t j : {0, 1, 2}) scaled[j] += 0.2;
  Fit fit = chosen_fit({candidate("chinchilla", kPlain, 1), candidate("chinchilla", scaled, 1)});
  fit.draws.assign(50, kPlain);
  fit.candidates[1].draws.assign(10, scaled);

  const Average average = average_of(fit);
  const Prediction prediction = predict(average, one_point(), fit.interval)[0];

  double weight = 0;
  for (const Mode& draw : average.draws) weight += draw.weight;
  EXPECT_NEAR(weight, 1, 1e-12);
  const double alone = predict(fit, one_point())[0].value;
  EXPECT_NEAR(*prediction.low, alone, 1e-9);
  EXPECT_NEAR(*prediction.high, alone * std::exp(0.2), 1e-9);
}

TEST(WeightedInterval, IsThatOfPercentilesWhereWeightsAreEqual) {
  Stream stream(3, StreamId::starts);
  std::vector<double> values;
  for (int i = 0; i < 101; ++i) values.push_back(stream.normal());

  const Span weighted = weighted_interval(values, std::vector<double>(values.size(), 0.25), 0.9);
  const Span plain = percentile_interval(values, 0.9);

  EXPECT_NEAR(weighted.low, plain.low, 1e-12);
  EXPECT_NEAR(weighted.high, plain.high, 1e-12);
}

// Half the weight on 10 values about 0, half on 1000 about 5: the quantiles of 5 and 95 % of the
// mixture are those of 10 and 90 % of the parts.
TEST(WeightedInterval, CountsWeightsAndNotValues) {
  std::vector<double> values, weights;
  for (int i = 0; i < 10; ++i) values.push_back(i / 9.0), weights.push_back(0.05);
  for (int i = 0; i < 1000; ++i) values.push_back(5 + i / 999.0), weights.push_back(0.0005);

  const Span ends = weighted_interval(values, weights, 0.9);

  EXPECT_NEAR(ends.low, 0.1, 0.06) << "within half the distance of two values";
  EXPECT_NEAR(ends.high, 5.9, 0.03);
}

TEST(Average, OutlivesTheFileOfItsFit) {
  Coordinates scaled = kPlain;
  scaled[0] += 0.2;
  Fit fit = chosen_fit({candidate("chinchilla", kPlain, 1), candidate("chinchilla", scaled, 1)});
  fit.minima = {{1, values_of(kPlain)}, {1.01, values_of(scaled)}};
  fit.candidates[1].minima = {{1, values_of(scaled)}, {1.005, values_of(kPlain)}};
  fit.candidates[1].draws = {scaled, kPlain};
  fit.candidates[1].extrapolations = {
      {.axis = "level", .runs = 9, .mean_error = 0.1, .choices = 2, .regret = 0.01}};
  fit.draws = {kPlain, scaled};

  const Fit read = fit_from_json(to_json(fit), "fit.json").value();

  const Average before = average_of(fit), after = average_of(read);
  ASSERT_EQ(after.modes.size(), before.modes.size());
  ASSERT_EQ(after.draws.size(), before.draws.size());
  for (std::size_t k = 0; k < before.modes.size(); ++k)
    EXPECT_NEAR(after.modes[k].weight, before.modes[k].weight, 1e-12);
  EXPECT_DOUBLE_EQ(read.candidates[1].extrapolations[0].regret, 0.01);
  EXPECT_EQ(read.candidates[1].extrapolations[0].choices, 2);
}

}  // namespace
}  // namespace ration::fit
