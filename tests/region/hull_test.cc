#include "region/hull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/random.h"
#include "merge/models.h"

namespace ration::region {
namespace {

using testing::ElementsAre;

TEST(HullWeights, HaveTheMomentsOfTheUniformLawOnTheSimplex) {
  constexpr std::size_t kMembers = 5;
  constexpr std::uint64_t kSamples = 20'000;
  std::vector<double> mean(kMembers), square(kMembers);
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const std::vector<double> weights = hull_weights(kMembers, 3, i);
    ASSERT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-12);
    for (std::size_t m = 0; m < kMembers; ++m) {
      ASSERT_GE(weights[m], 0);
      mean[m] += weights[m] / kSamples;
      square[m] += weights[m] * weights[m] / kSamples;
    }
  }

  // Dirichlet(1, …, 1): mean 1/n, variance (n - 1)/(n^2 (n + 1)) = 0.0267. Uniform variates that
  // are divided by their sum have 0.0119. Tolerances are five standard errors.
  for (std::size_t m = 0; m < kMembers; ++m) {
    EXPECT_NEAR(mean[m], 0.2, 0.006);
    EXPECT_NEAR(square[m] - mean[m] * mean[m], 4.0 / (25 * 6), 0.0015);
  }
}

TEST(HullWeights, DependOnSeedAndNumberAlone) {
  EXPECT_EQ(hull_weights(4, 1, 7), hull_weights(4, 1, 7));
  EXPECT_NE(hull_weights(4, 1, 7), hull_weights(4, 1, 8));
  EXPECT_NE(hull_weights(4, 1, 7), hull_weights(4, 2, 7));
  EXPECT_THAT(hull_weights(1, 1, 7), ElementsAre(1)) << "the hull of one member is a point";
}

TEST(TriangleWeights, AreTheBarycentricGrid) {
  const std::vector<std::vector<double>> points = triangle_weights(10);

  EXPECT_EQ(points.size(), 66U);
  EXPECT_EQ(std::set(points.begin(), points.end()).size(), 66U);
  for (const std::vector<double>& point : points)
    EXPECT_NEAR(std::accumulate(point.begin(), point.end(), 0.0), 1, 1e-15);
  EXPECT_EQ(std::count(points.begin(), points.end(), std::vector<double>{0, 1, 0}), 1);
}

TEST(Hull, GivesAMemberBitForBitAtAUnitWeight) {
  test::Models models;
  Stream stream(1, StreamId::init);
  for (const std::string name : {"a", "b", "c"}) {
    std::vector<double> numbers(100);
    for (double& number : numbers) number = stream.normal();
    models.add(name, test::vector_model(numbers));
  }
  const auto merged = [&](const std::vector<double>& weights) {
    merge::Recipe recipe = test::recipe_of("linear", {"a", "b", "c"});
    recipe.weights = weights;
    return models.merged(recipe).bytes.at("w");
  };
  const std::vector<std::vector<double>> corners = triangle_weights(1);  // c, b, a

  EXPECT_EQ(merged(corners[0]), models.merged(test::recipe_of("average", {"c"})).bytes.at("w"));
  EXPECT_EQ(merged(corners[2]), models.merged(test::recipe_of("average", {"a"})).bytes.at("w"));
}

// Members and a point, as vectors, and what nearest_in_hull() takes of them.
struct Scene {
  std::vector<std::vector<double>> members;
  std::vector<double> point;

  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }
  Result<Nearest> nearest() const {
    std::vector<double> products, with;
    for (const std::vector<double>& a : members) {
      for (const std::vector<double>& b : members) products.push_back(dot(a, b));
      with.push_back(dot(a, point));
    }
    return nearest_in_hull(products, with, dot(point, point));
  }
  // By distances of the vectors themselves, which keep what products of near duplicates lose.
  Result<Nearest> nearest_by_distances() const {
    const auto square = [](const std::vector<double>& a, const std::vector<double>& b) {
      double sum = 0;
      for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
      return sum;
    };
    std::vector<double> between, to;
    for (const std::vector<double>& a : members) {
      for (const std::vector<double>& b : members) between.push_back(square(a, b));
      to.push_back(square(a, point));
    }
    return nearest_in_hull({.between = between, .to = to}, dot(point, point));
  }
  double to_nearest_member() const {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < members.size(); ++i) {
      std::vector<double> weights(members.size());
      weights[i] = 1;
      least = std::min(least, distance(weights));
    }
    return least;
  }
  // |point - sum w_i member_i| by the vectors.
  double distance(const std::vector<double>& weights) const {
    double sum = 0;
    for (std::size_t d = 0; d < point.size(); ++d) {
      double at = 0;
      for (std::size_t i = 0; i < members.size(); ++i)
        at += weights[i] * (members[i][d] - point[d]);
      sum += at * at;
    }
    return std::sqrt(sum);
  }
};

Scene random_scene(std::size_t members, std::size_t dimensions, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  Scene scene;
  scene.members.assign(members, std::vector<double>(dimensions));
  scene.point.resize(dimensions);
  for (std::vector<double>& member : scene.members)
    for (double& number : member) number = stream.normal();
  for (double& number : scene.point) number = stream.normal();
  return scene;
}

TEST(NearestInHull, IsNoFartherThanAnyPointOfAFineGrid) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Scene scene = random_scene(3, 2 + seed % 3, seed);

    const auto nearest = scene.nearest();

    ASSERT_TRUE(nearest) << nearest.error().describe();
    double least = std::numeric_limits<double>::infinity();
    for (const std::vector<double>& weights : triangle_weights(200))
      least = std::min(least, scene.distance(weights));
    EXPECT_LE(nearest->distance, least + 1e-7);
    EXPECT_GE(nearest->distance, least - 0.05) << "the grid has steps of 1/200";
    EXPECT_NEAR(nearest->distance, scene.distance(nearest->weights), 1e-7);
  }
}

// At the nearest point p of a convex set, (p - tau) . (member - p) >= 0 for every member.
TEST(NearestInHull, FulfilsTheConditionOfTheNearestPoint) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const std::size_t members = 1 + seed * 2, dimensions = seed % 2 == 0 ? 6 : 100;
    Scene scene = random_scene(members, dimensions, seed);
    if (seed % 3 == 0) scene.members.push_back(scene.members.front());  // one stands there twice

    const auto nearest = scene.nearest();

    ASSERT_TRUE(nearest) << nearest.error().describe();
    std::vector<double> off(dimensions);
    for (std::size_t d = 0; d < dimensions; ++d) {
      off[d] = -scene.point[d];
      for (std::size_t i = 0; i < scene.members.size(); ++i)
        off[d] += nearest->weights[i] * scene.members[i][d];
    }
    double sum = 0;
    for (std::size_t i = 0; i < scene.members.size(); ++i) {
      EXPECT_GE(nearest->weights[i], 0);
      sum += nearest->weights[i];
      double way = 0;
      for (std::size_t d = 0; d < dimensions; ++d)
        way += off[d] * (scene.members[i][d] - scene.point[d] - off[d]);
      EXPECT_GE(way, -1e-8 * static_cast<double>(dimensions)) << "seed " << seed;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(NearestInHull, IsThePointItselfWithinTheHull) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Scene scene = random_scene(8, 20, seed);
    const std::vector<double> weights = hull_weights(8, 1, seed);
    scene.point.assign(20, 0);
    for (std::size_t i = 0; i < 8; ++i)
      for (std::size_t d = 0; d < 20; ++d) scene.point[d] += weights[i] * scene.members[i][d];

    const auto nearest = scene.nearest();

    ASSERT_TRUE(nearest);
    EXPECT_LT(nearest->relative, 1e-6);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(nearest->weights[i], weights[i], 1e-6);
  }
}

TEST(NearestInHull, FindsAMemberThatIsThePoint) {
  Scene scene = random_scene(5, 9, 2);
  scene.point = scene.members[3];

  const auto nearest = scene.nearest();

  ASSERT_TRUE(nearest);
  EXPECT_LT(nearest->relative, 1e-6);
  EXPECT_NEAR(nearest->weights[3], 1, 1e-6);
}

TEST(NearestInHull, OfOneMemberIsTheMember) {
  const Scene scene{.members = {{3, 4}}, .point = {0, 0}};

  const auto nearest = scene.nearest();

  ASSERT_TRUE(nearest);
  EXPECT_THAT(nearest->weights, ElementsAre(1));
  EXPECT_DOUBLE_EQ(nearest->distance, 5);
  EXPECT_TRUE(std::isnan(nearest->relative)) << "tau has no length";
}

// A member at this share of the point's length from it; the others anywhere.
Scene with_near_duplicates(std::size_t duplicates, double share, std::uint64_t seed) {
  Scene scene = random_scene(6, 500, seed);
  Stream stream(seed + 100, StreamId::init);
  for (std::size_t i = 0; i < duplicates; ++i)
    for (std::size_t d = 0; d < scene.point.size(); ++d)
      scene.members[i][d] = scene.point[d] * (1 + (stream.uniform() < 0.5 ? share : -share));
  return scene;
}

TEST(NearestInHull, FindsThePlaceBesideNearDuplicates) {
  for (const double share : {1e-3, 1e-5, 6e-8, 1e-10, 1e-12})
    for (const std::size_t duplicates : {1U, 3U}) {
      const Scene scene =
          with_near_duplicates(duplicates, share, static_cast<std::uint64_t>(duplicates));

      const auto nearest = scene.nearest_by_distances();

      ASSERT_TRUE(nearest) << nearest.error().describe();
      EXPECT_LE(nearest->distance, scene.to_nearest_member() * (1 + 1e-12)) << share;
      // Numbers of about 1 are stored to 1e-16 of them, and so are differences of 1e-12 to 1e-4.
      EXPECT_NEAR(nearest->distance / scene.distance(nearest->weights), 1, 1e-3) << share;
      EXPECT_LT(nearest->gap, 1e-3 * nearest->distance) << share;
    }
}

TEST(NearestInHull, ByProductsAloneIsNoFartherThanTheNearestMemberEither) {
  for (const double share : {1e-5, 6e-8, 4.5e-11, 1e-15})
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const Scene scene = with_near_duplicates(1 + seed % 3, share, seed);

      const auto nearest = scene.nearest();

      ASSERT_TRUE(nearest) << nearest.error().describe();
      // Products of numbers of about 1 hold differences of about 1e-8.
      EXPECT_LE(nearest->relative, share + 1e-7);
    }
}

TEST(NearestInHull, KeepsItsDigitsBesideAHugeMember) {
  for (const double factor : {1e4, 1e8}) {
    Scene scene = random_scene(5, 40, 3);
    const auto without = scene.nearest_by_distances();
    scene.members.push_back(scene.members[0]);
    for (double& number : scene.members.back()) number *= -factor;

    const auto nearest = scene.nearest_by_distances();

    ASSERT_TRUE(nearest) << nearest.error().describe();
    EXPECT_LE(nearest->distance, without->distance * (1 + 1e-9));
    EXPECT_NEAR(nearest->distance, scene.distance(nearest->weights), 1e-6);
    EXPECT_LT(nearest->gap, 1e-4 * nearest->distance);
  }
}

// Far above the dimension most points lie within the hull; far below it, nearly all members count.
TEST(NearestInHull, OfHundredsOfMembersFulfilsItsCondition) {
  for (const std::size_t dimensions : {20U, 100U, 1000U})
    for (const std::uint64_t seed : {1U, 2U}) {
      const Scene scene = random_scene(200, dimensions, seed);

      const auto nearest = scene.nearest_by_distances();

      ASSERT_TRUE(nearest) << nearest.error().describe();
      const double length = std::sqrt(static_cast<double>(dimensions));
      EXPECT_NEAR(nearest->distance, scene.distance(nearest->weights), 1e-6 * length);
      if (nearest->relative > 1e-6) {
        EXPECT_LT(nearest->gap, 1e-7 * nearest->distance) << dimensions;
      }
    }
}

TEST(NearestInHull, RefusesNumbersThatAreNone) {
  const double none = std::numeric_limits<double>::quiet_NaN();

  EXPECT_FALSE(
      nearest_in_hull(std::vector<double>{1, none, none, 1}, std::vector<double>{0, 0}, 1));
}

}  // namespace
}  // namespace ration::region
