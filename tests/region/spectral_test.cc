#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "region/cluster.h"
#include "region/planted.h"

namespace ration::region {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::size_t> kPlanted = {2, 0, 1, 0, 2, 1, 2, 0, 1, 2, 0, 1, 0, 2, 1};

TEST(Spectral, FindsPlantedClusters) {
  const auto clusters = spectral(test::planted_cosines(kPlanted, 1.5, 1), 3, 0);

  ASSERT_TRUE(clusters) << clusters.error().describe();
  EXPECT_EQ(clusters->k, 3U);
  EXPECT_EQ(adjusted_rand(clusters->of, test::words_of(kPlanted)), 1);
  EXPECT_THAT(std::vector(clusters->of.begin(), clusters->of.begin() + 3), ElementsAre(0, 1, 2))
      << "numbered by first member";
}

TEST(Spectral, TakesTheLargestGapOfEigenvaluesWhereNobodySaysHowMany) {
  const auto clusters = spectral(test::planted_cosines(kPlanted, 3, 2), 0, 0);

  ASSERT_TRUE(clusters);
  EXPECT_EQ(clusters->largest_gap, 3U);
  EXPECT_EQ(clusters->k, 3U);
  ASSERT_EQ(clusters->eigenvalues.size(), kPlanted.size());
  EXPECT_TRUE(std::is_sorted(clusters->eigenvalues.begin(), clusters->eigenvalues.end()));
  EXPECT_NEAR(clusters->eigenvalues[0], 0, 1e-12) << "a normalised Laplacian has the eigenvalue 0";
  EXPECT_LE(clusters->eigenvalues.back(), 2 + 1e-12) << "and none above 2";
}

TEST(Spectral, KnowsTheEigenvaluesOfACompleteGraph) {
  const std::vector<double> cosines(16, 0.5);  // n equal weights: 0 and n/(n - 1), n - 1 times

  const auto clusters = spectral(cosines, 1, 0);

  ASSERT_TRUE(clusters);
  EXPECT_NEAR(clusters->eigenvalues[0], 0, 1e-12);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_NEAR(clusters->eigenvalues[i], 4.0 / 3, 1e-12);
}

TEST(Spectral, LeavesModelsAloneThatResembleNone) {
  const double low = -0.25;  // a cosine of 0 or less is no similarity
  const std::vector<double> cosines = {1,
                                       0.9,
                                       low,
                                       low,  //
                                       0.9,
                                       1,
                                       low,
                                       low,  //
                                       low,
                                       low,
                                       1,
                                       0,  //
                                       low,
                                       low,
                                       0,
                                       1};

  const auto clusters = spectral(cosines, 3, 0);

  ASSERT_TRUE(clusters);
  EXPECT_THAT(clusters->of, ElementsAre(0, 0, 1, 2));
  EXPECT_EQ(clusters->largest_gap, 3U) << "three components";
}

TEST(Spectral, RefusesAModelThatEqualsItsBaseAndTooManyClusters) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const auto no_direction = spectral(std::vector<double>{1, none, none, none}, 1, 0);
  const auto too_many = spectral(std::vector<double>{1, 0, 0, 1}, 3, 0);

  ASSERT_FALSE(no_direction);
  EXPECT_EQ(no_direction.error().kind, ErrorKind::input);
  EXPECT_THAT(no_direction.error().what, HasSubstr("model 2 of 2 equals its base"));
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind, ErrorKind::input);
  EXPECT_THAT(too_many.error().what, HasSubstr("2 models are too few for 3 clusters"));
}

}  // namespace
}  // namespace ration::region
