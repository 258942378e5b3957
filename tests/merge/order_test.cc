#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "merge/models.h"

namespace ration {
namespace {

using merge::Recipe;
using test::Models;
using test::recipe_of;
using test::vector_model;
using testing::HasSubstr;

using Vector = std::vector<double>;

TEST(Median, IsTheMiddleNumberOfEachCoordinate) {
  Models models;
  models.add("a", vector_model({1, 5, -3, -0.0}));
  models.add("b", vector_model({2, -5, 1e6, 4}));
  models.add("c", vector_model({9, 0, 7, -4}));
  models.add("d", vector_model({4, 1, 8, 5}));

  const Vector of_three = models.merged(recipe_of("median", {"a", "b", "c"})).numbers("w");

  EXPECT_EQ(of_three, (Vector{2, 0, 7, 0}));
  EXPECT_TRUE(std::signbit(of_three[3])) << "one number stays bit for bit";
  EXPECT_EQ(models.merged(recipe_of("median", {"a", "b", "c", "d"})).numbers("w"),
            (Vector{3, 0.5, 7.5, 2}));
  EXPECT_EQ(models.merged(recipe_of("median", {"b"})).numbers("w"), (Vector{2, -5, 1e6, 4}));
}

TEST(TrimmedMean, LeavesOutAsManyAtEachEndAsTheShareRoundsDownTo) {
  Models models;
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  const Vector numbers = {100, 1, 2, 3, -50};
  for (std::size_t i = 0; i < names.size(); ++i) models.add(names[i], vector_model({numbers[i]}));
  const auto mean = [&](double cut) {
    Recipe recipe = recipe_of("trimmed_mean", names);
    recipe.cut = cut;
    return models.merged(recipe).numbers("w")[0];
  };

  EXPECT_EQ(mean(0.19), 56.0F / 5) << "0.95 of a model is none";
  EXPECT_EQ(mean(0.2), 2);
  EXPECT_EQ(mean(0.39), 2);
  EXPECT_EQ(mean(0.4), 2);
}

TEST(RobustMeans, EqualOnesThatSortEachCoordinate) {
  Models models;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  constexpr std::size_t kCount = 5000;  // more than one chunk
  std::vector<Vector> all(7, Vector(kCount));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (double& number : all[i]) number = static_cast<float>(normal(random));
    names.push_back(std::string(1, static_cast<char>('a' + i)));
    models.add(names.back(), vector_model(all[i]));
  }
  Recipe trimmed = recipe_of("trimmed_mean", names);
  trimmed.cut = 0.3;

  const Vector medians = models.merged(recipe_of("median", names)).numbers("w");
  const Vector means = models.merged(trimmed).numbers("w");

  for (std::size_t j = 0; j < kCount; ++j) {
    Vector sorted;
    for (const Vector& model : all) sorted.push_back(model[j]);
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(medians[j], sorted[3]);
    ASSERT_EQ(means[j], static_cast<float>((sorted[2] + sorted[3] + sorted[4]) / 3));
  }
}

TEST(RobustMeans, RefuseNumbersThatHaveNoOrder) {
  Models models;
  models.add("a", vector_model({1, 2}));
  models.add("b", vector_model({1, std::numeric_limits<double>::quiet_NaN()}));
  models.add("c", vector_model({1, 2}));

  for (const std::string method : {"median", "trimmed_mean"})
    EXPECT_THAT(models.merge(recipe_of(method, {"a", "b", "c"})).error().what,
                HasSubstr("tensor \"w\" of b holds NaN or infinity at element 1"));
  Recipe recipe = recipe_of("trimmed_mean", {"a", "b"});
  recipe.cut = 0.5;
  EXPECT_EQ(check(recipe).size(), 1U);
}

}  // namespace
}  // namespace ration
