#include "region/plane_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ration::region {
namespace {

TEST(PlaneMap, FindsPointsOfAPlaneAndSaysThatItHoldsAll) {
  const std::vector<std::pair<double, double>> points = {{0, 0}, {4, 0}, {4, 1}, {0, 1}, {2, 3}};
  std::vector<double> squares;
  for (const auto& [x, y] : points)
    for (const auto& [u, v] : points) squares.push_back((x - u) * (x - u) + (y - v) * (y - v));

  const PlaneMap map = plane_map(squares, points.size());

  EXPECT_NEAR(map.share, 1, 1e-9);
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t j = 0; j < points.size(); ++j)
      EXPECT_NEAR(std::pow(map.x[i] - map.x[j], 2) + std::pow(map.y[i] - map.y[j], 2),
                  squares[i * points.size() + j],
                  1e-6);
}

TEST(PlaneMap, SaysWhichShareTwoAxesHold) {
  // Corners of a simplex of four: three axes of equal length.
  std::vector<double> squares(16, 1);
  for (std::size_t i = 0; i < 4; ++i) squares[i * 5] = 0;

  EXPECT_NEAR(plane_map(squares, 4).share, 2.0 / 3, 1e-9);
}

TEST(PlaneMap, PutsModelsThatDoNotDifferOnOnePoint) {
  const PlaneMap map = plane_map(std::vector<double>(9, 0), 3);

  EXPECT_EQ(map.x, std::vector<double>(3, 0));
  EXPECT_EQ(map.y, std::vector<double>(3, 0));
  EXPECT_EQ(map.share, 0);
}

}  // namespace
}  // namespace ration::region
