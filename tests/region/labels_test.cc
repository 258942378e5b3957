#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "region/cluster.h"
#include "region/planted.h"

namespace ration::region {
namespace {

using Numbers = std::vector<std::size_t>;

Clusters clusters_of(Numbers of) {
  Clusters clusters;
  clusters.k = 1 + *std::max_element(of.begin(), of.end());
  clusters.of = std::move(of);
  return clusters;
}

TEST(AdjustedRand, IsThatOfKnownCases) {
  const auto index = [](const Numbers& clusters, const Numbers& labels) {
    return adjusted_rand(clusters, test::words_of(labels));
  };

  EXPECT_EQ(index({0, 0, 1, 1}, {1, 1, 0, 0}), 1);
  EXPECT_DOUBLE_EQ(index({0, 0, 1, 2}, {0, 0, 1, 1}), 4.0 / 7);
  EXPECT_DOUBLE_EQ(index({0, 0, 1, 1}, {0, 1, 0, 1}), -0.5);
  EXPECT_EQ(index({0, 0, 0, 0}, {0, 1, 2, 3}), 0);
  EXPECT_EQ(index({0, 1, 2, 3}, {0, 1, 2, 3}), 1);
}

TEST(AdjustedRand, IsZeroOnTheMeanOfAllPermutations) {
  const Numbers clusters = {0, 0, 0, 1, 1, 2};
  Numbers labels = {0, 0, 1, 1, 1, 2};
  double sum = 0;
  int count = 0;
  do {
    sum += adjusted_rand(clusters, test::words_of(labels));
    ++count;
  } while (std::next_permutation(labels.begin(), labels.end()));

  EXPECT_EQ(count, 60);
  EXPECT_NEAR(sum / count, 0, 1e-12);
}

TEST(Accuracy, IsThatOfTheBestMap) {
  EXPECT_EQ(accuracy(Numbers{1, 1, 0, 0}, test::words_of({0, 0, 1, 1})), 1);
  EXPECT_DOUBLE_EQ(accuracy(Numbers{0, 0, 0, 1, 1, 1}, test::words_of({0, 0, 1, 1, 2, 2})),
                   4.0 / 6);
}

TEST(Silhouette, IsRousseeuwsOnOneMinusCosine) {
  // Distances: 0.2 within a, 0.4 within b, 0.8 and 1 between.
  const std::vector<double> cosines = {1,
                                       0.8,
                                       0.2,
                                       0,  //
                                       0.8,
                                       1,
                                       0.2,
                                       0,  //
                                       0.2,
                                       0.2,
                                       1,
                                       0.6,  //
                                       0,
                                       0,
                                       0.6,
                                       1};
  const std::vector<std::string> labels = {"a", "a", "b", "b"};

  const double expected = (2 * (0.9 - 0.2) / 0.9 + (0.8 - 0.4) / 0.8 + (1 - 0.4) / 1) / 4;
  EXPECT_NEAR(silhouette(cosines, labels), expected, 1e-12);
  EXPECT_TRUE(std::isnan(silhouette(cosines, std::vector<std::string>(4, "a"))));
}

TEST(Silhouette, OfTheOnlyMemberOfALabelIsZero) {
  const std::vector<double> cosines = {1, 0.5, 0, 0.5, 1, 0, 0, 0, 1};
  const std::vector<std::string> labels = {"a", "a", "b"};

  EXPECT_NEAR(silhouette(cosines, labels), (0.5 + 0.5 + 0) / 3, 1e-12);
}

TEST(Contrast, IsTheMeanWithinLessTheMeanBetween) {
  const std::vector<double> cosines = {1, 0.5, 0.1, 0.5, 1, 0.3, 0.1, 0.3, 1};

  const Contrast found = contrast(cosines, std::vector<std::string>{"a", "a", "b"});
  const Contrast alone = contrast(cosines, std::vector<std::string>{"a", "b", "c"});

  EXPECT_DOUBLE_EQ(found.within, 0.5);
  EXPECT_DOUBLE_EQ(found.between, 0.2);
  EXPECT_DOUBLE_EQ(found.difference, 0.3);
  EXPECT_TRUE(std::isnan(alone.within));
  EXPECT_DOUBLE_EQ(alone.between, 0.3);
}

TEST(LabelTest, GivesPlantedLabelsTheLeastP) {
  const Numbers labels = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2};
  const std::vector<double> cosines = test::planted_cosines(labels, 1.5, 1);

  const LabelTest test = test_labels(
      cosines, spectral(cosines, 3, 0).value(), test::words_of(labels), {.permutations = 999});

  EXPECT_EQ(test.accuracy, 1);
  EXPECT_EQ(test.rand_index, 1);
  EXPECT_GT(test.silhouette, 0.2);
  EXPECT_GT(test.contrast.difference, 0.4);
  // 12!/(4!^3 3!) = 5775 partitions: one in some 5775 permutations is the observed one.
  EXPECT_LE(test.contrast_p, 3.0 / 1000);
  EXPECT_LE(test.rand_p, 3.0 / 1000);
  EXPECT_GE(test.contrast_p, 1.0 / 1000);
}

TEST(LabelTest, SamplesTheExactP) {
  const Numbers labels = {0, 0, 0, 1, 1, 1, 1};
  const std::vector<double> cosines = test::planted_cosines(labels, 0.3, 5);
  const double observed = contrast(cosines, test::words_of(labels)).difference;
  Numbers order = labels;
  std::sort(order.begin(), order.end());
  double reached = 0, all = 0;
  do {
    all += 1;
    if (contrast(cosines, test::words_of(order)).difference >= observed - 1e-12) reached += 1;
  } while (std::next_permutation(order.begin(), order.end()));

  const LabelTest test =
      test_labels(cosines, clusters_of(labels), test::words_of(labels), {.permutations = 10'000});

  const double exact = reached / all;
  EXPECT_NEAR(test.contrast_p, exact, 5 * std::sqrt(exact * (1 - exact) / 10'000) + 1e-4);
}

TEST(LabelTest, HasUniformPWhereLabelsMeanNothing) {
  constexpr int kTrials = 400;
  const Numbers labels = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  int below_tenth = 0, below_half = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto seed = static_cast<std::uint64_t>(trial);
    const std::vector<double> cosines = test::planted_cosines(labels, 0, seed);
    const LabelTest test = test_labels(
        cosines, clusters_of(labels), test::words_of(labels), {.permutations = 99, .seed = seed});
    below_tenth += test.contrast_p <= 0.1 ? 1 : 0;
    below_half += test.contrast_p <= 0.5 ? 1 : 0;
  }

  // Binomial standard deviations are 6 and 10.
  EXPECT_NEAR(below_tenth, 0.1 * kTrials, 24);
  EXPECT_NEAR(below_half, 0.5 * kTrials, 40);
}

TEST(LabelTest, MovesModelsOfOneUnitTogether) {
  // Six tight corpora, whose families were dealt at random.
  const Numbers corpora = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5};
  Numbers families;
  for (const std::size_t corpus : corpora) families.push_back(corpus % 2);
  const std::vector<double> cosines = test::planted_cosines(corpora, 1.5, 3);
  const Clusters clusters = clusters_of(families);

  const LabelTest by_model =
      test_labels(cosines, clusters, test::words_of(families), {.permutations = 999});
  const LabelTest by_corpus = test_labels(cosines,
                                          clusters,
                                          test::words_of(families),
                                          {.permutations = 999, .units = test::words_of(corpora)});

  EXPECT_LT(by_model.contrast_p, 0.01) << "what a test that forgets the corpora would claim";
  EXPECT_GT(by_corpus.contrast_p, 0.05);
  // Pairs within a corpus are no evidence for families.
  EXPECT_LT(by_corpus.contrast.within, by_model.contrast.within - 0.1);
}

TEST(LabelTest, ClaimsNothingForOneLabel) {
  const std::vector<double> cosines = test::planted_cosines({0, 0, 0}, 1, 1);

  const LabelTest test =
      test_labels(cosines, clusters_of({0, 0, 0}), test::words_of({0, 0, 0}), {.permutations = 99});

  EXPECT_TRUE(std::isnan(test.contrast.difference));
  EXPECT_EQ(test.contrast_p, 1);
  EXPECT_EQ(test.rand_p, 1);
}

}  // namespace
}  // namespace ration::region
