#include "train/experts/specialisation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/random.h"

namespace ration::train::experts {
namespace {

// Units of one sequence each, with these weights.
RoutedUnits units_of(std::int64_t experts,
                     const std::vector<std::pair<std::int64_t, std::vector<double>>>& rows) {
  RoutedUnits units{.experts = experts};
  for (const auto& [source, weights] : rows) {
    units.weights.insert(units.weights.end(), weights.begin(), weights.end());
    units.sequences.push_back(static_cast<std::int64_t>(units.sources.size()));
    units.sources.push_back(source);
  }
  return units;
}

TEST(Specialisation, InformationIsOneWhereAnExpertIsASourceAndZeroWhereAllAreAlike) {
  EXPECT_NEAR(
      normalised_information(units_of(2, {{0, {1, 0}}, {0, {1, 0}}, {1, {0, 1}}, {1, {0, 1}}})),
      1,
      1e-15);
  EXPECT_NEAR(normalised_information(units_of(2, {{0, {0.3, 0.7}}, {1, {0.3, 0.7}}})), 0, 1e-15);
}

TEST(Specialisation, InformationIsThatOfTheFormula) {
  // Source 0 has two units of mean (3/4, 1/4), source 1 one of (0, 1); all together (1/2, 1/2).
  const RoutedUnits units = units_of(2, {{0, {1, 0}}, {0, {0.5, 0.5}}, {1, {0, 1}}});
  const double within = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25));

  EXPECT_NEAR(normalised_information(units), (std::log(2) - 2.0 / 3 * within) / std::log(2), 1e-15);
  EXPECT_TRUE(std::isnan(normalised_information(units_of(2, {{0, {1, 0}}}))));
}

TEST(Specialisation, PermutationsRejectChanceAndSeeWhatIsThere) {
  RoutedUnits apart{.experts = 3}, alike{.experts = 3};
  Stream stream(1, StreamId::labels);
  for (std::int64_t i = 0; i < 60; ++i) {
    const double noise = stream.uniform() / 3;
    for (RoutedUnits* units : {&apart, &alike}) {
      units->sources.push_back(i % 3);
      units->sequences.push_back(i);
      const double more = units == &apart && i % 3 == 1 ? 0.3 : 0;
      units->weights.insert(units->weights.end(), {noise + more, 0.6 - noise - more, 0.4});
    }
  }

  EXPECT_NEAR(information_p_value(apart, 999, 7), 0.001, 1e-12);
  EXPECT_GT(information_p_value(alike, 999, 7), 0.05);
}

TEST(Specialisation, TellsCollapsedAndUniformRouters) {
  const RoutedUnits one = units_of(4, {{0, {1, 0, 0, 0}}, {1, {0.999, 0.001, 0, 0}}});
  const RoutedUnits each = units_of(4, {{0, {1, 0, 0, 0}}, {1, {0, 1, 0, 0}}});
  const RoutedUnits all = units_of(4, {{0, {0.25, 0.25, 0.25, 0.25}}});

  EXPECT_TRUE(is_collapsed(one));
  EXPECT_FALSE(is_collapsed(each) || is_collapsed(all));
  EXPECT_TRUE(is_uniform(all));
  EXPECT_FALSE(is_uniform(one) || is_uniform(each));
  EXPECT_NEAR(mean_entropy(all), 1, 1e-15);
  EXPECT_EQ(mean_entropy(each), 0);
}

// A router that chooses one expert has weights without entropy, whatever it thinks.
TEST(Specialisation, TakesTheEntropyOfWhatTheRouterThinks) {
  RoutedUnits units = units_of(2, {{0, {1, 0}}, {1, {0, 1}}});
  units.soft = {0.75, 0.25, 0.5, 0.5};
  const double first = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(2);

  EXPECT_NEAR(mean_entropy(units), (first + 1) / 2, 1e-15);
  EXPECT_FALSE(is_uniform(units));
  units.soft = {0.5, 0.5, 0.5, 0.5};
  EXPECT_TRUE(is_uniform(units));
}

TEST(Specialisation, CollapseIsOfWhatComputes) {
  RoutedUnits units = units_of(2, {{0, {1, 0}}, {1, {1, 0}}});
  units.soft = {0.6, 0.4, 0.6, 0.4};

  EXPECT_TRUE(is_collapsed(units));
}

TEST(Specialisation, KnowsNothingOfUnitsThatAreNot) {
  const RoutedUnits none{.experts = 4};
  const RoutedUnits first = units_of(2, {{0, {1, 0}}});

  EXPECT_TRUE(std::isnan(mean_entropy(none)));
  EXPECT_TRUE(std::isnan(mean_entropy(units_of(1, {{0, {1}}}))));
  EXPECT_FALSE(is_collapsed(none) || is_uniform(none));
  EXPECT_TRUE(mean_weights(none).empty());
  EXPECT_TRUE(mean_weights(first, 1).empty());
  EXPECT_EQ(first.units_of(0), 1U);
  EXPECT_EQ(first.units_of(1), 0U);
}

std::vector<std::vector<Increase>> with_error(const std::vector<std::vector<double>>& means,
                                              double error) {
  std::vector<std::vector<Increase>> rows;
  for (const std::vector<double>& row : means) {
    rows.emplace_back();
    for (const double mean : row) rows.back().push_back({.mean = mean, .error = error});
  }
  return rows;
}

TEST(Specialisation, NeedsAnExpertThatEachSourceMisses) {
  EXPECT_EQ(misses_experts(with_error({{0.9, 0.1, 0.1, 0.2}, {0, 0.5, 0.1, 0.1}}, 0.01)), true);
  EXPECT_EQ(misses_experts(with_error({{0.9, 0.1, 0.1, 0.2}, {0.2, 0.3, 0.2, 0.2}}, 0.01)), false);
}

// Of experts that nobody uses the median is 0, which any noise exceeds.
TEST(Specialisation, NeedsIncreasesBeyondTheirStandardErrors) {
  EXPECT_EQ(misses_experts(with_error({{1e-3, 0, 0, 0}}, 4e-4)), true);
  EXPECT_EQ(misses_experts(with_error({{1e-3, 0, 0, 0}}, 6e-4)), false);
}

TEST(Specialisation, CannotBeAskedOfTwoExpertsOfOneWindowOrOfWhatIsNotRouted) {
  EXPECT_EQ(misses_experts(with_error({{0.5, 0}}, 0.01)), std::nullopt);
  EXPECT_EQ(misses_experts(with_error({{0.5, 0, 0}}, std::nan(""))), std::nullopt);
  EXPECT_EQ(misses_experts({{{0.5, 0.01}, {0, 0.01}, {0, 0.01}}, {}}), std::nullopt);
  EXPECT_EQ(misses_experts({}), std::nullopt);
}

TEST(Specialisation, IsNotOfCollapsedOrUniformRouters) {
  const auto missed = with_error({{0.9, 0, 0}}, 0.01);
  constexpr double kThird = 1.0 / 3;

  EXPECT_EQ(is_specialised(units_of(3, {{0, {1, 0, 0}}, {0, {0, 1, 0}}}), missed), true);
  EXPECT_EQ(is_specialised(units_of(3, {{0, {1, 0, 0}}}), missed), false);
  EXPECT_EQ(is_specialised(units_of(3, {{0, {kThird, kThird, kThird}}}), missed), false);
}

}  // namespace
}  // namespace ration::train::experts
