#include "train/experts/specialisation.h"

#include <gtest/gtest.h>

#include <cmath>

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

TEST(Specialisation, NeedsAnExpertThatEachSourceMisses) {
  EXPECT_TRUE(is_specialised({{0.9, 0.1, 0.1, 0.2}, {0, 0.5, 0.1, 0.1}}));
  EXPECT_FALSE(is_specialised({{0.9, 0.1, 0.1, 0.2}, {0.2, 0.3, 0.2, 0.2}}));
}

}  // namespace
}  // namespace ration::train::experts
