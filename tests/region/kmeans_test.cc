#include "region/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/random.h"

namespace ration::region {
namespace {

double inertia(const std::vector<double>& points,
               std::size_t dimensions,
               const std::vector<std::size_t>& of,
               std::size_t k) {
  double sum = 0;
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t d = 0; d < dimensions; ++d) {
      double mean = 0, members = 0;
      for (std::size_t i = 0; i < of.size(); ++i)
        if (of[i] == c) mean += points[i * dimensions + d], members += 1;
      for (std::size_t i = 0; i < of.size(); ++i) {
        const double off = points[i * dimensions + d] - mean / members;
        if (of[i] == c) sum += off * off;
      }
    }
  return sum;
}

// The least over all k^n assignments.
double least_inertia(const std::vector<double>& points, std::size_t dimensions, std::size_t k) {
  std::vector<std::size_t> of(points.size() / dimensions);
  double least = std::numeric_limits<double>::infinity();
  while (true) {
    least = std::min(least, inertia(points, dimensions, of, k));
    std::size_t i = 0;
    while (i < of.size() && ++of[i] == k) of[i++] = 0;
    if (i == of.size()) return least;
  }
}

TEST(KMeans, FindsTheBestOfAllPartitionsOfFewPoints) {
  Stream stream(3, StreamId::init);
  for (int trial = 0; trial < 10; ++trial) {
    std::vector<double> points(16);
    for (double& number : points) number = stream.normal();

    const std::vector<std::size_t> of = k_means(points, 2, 3, 1);

    EXPECT_NEAR(inertia(points, 2, of, 3), least_inertia(points, 2, 3), 1e-12);
  }
}

TEST(KMeans, DependsOnItsSeedAlone) {
  Stream stream(4, StreamId::init);
  std::vector<double> points(200);
  for (double& number : points) number = stream.uniform();

  EXPECT_EQ(k_means(points, 2, 5, 9), k_means(points, 2, 5, 9));
}

TEST(KMeans, GivesFewerClustersWherePointsCoincide) {
  const std::vector<std::size_t> of = k_means(std::vector<double>{1, 1, 1, 2}, 1, 3, 0);

  EXPECT_EQ(std::set(of.begin(), of.end()).size(), 2U);
  EXPECT_EQ(of[0], of[2]);
  EXPECT_NE(of[0], of[3]);
}

}  // namespace
}  // namespace ration::region
