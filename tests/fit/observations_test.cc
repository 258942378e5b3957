#include "fit/observations.h"

#include <gmock/gmock.h>

#include "fit/support.h"

namespace ration::fit {
namespace {

Observation run_of(double loss, double weight) {
  return {.params = Params(1e8),
          .tokens = Tokens(2e9),
          .unique = Tokens(1e9),
          .loss = Loss(loss),
          .weight = weight};
}

std::vector<double> weights_in(const std::vector<Observation>& runs) {
  std::vector<double> weights;
  for (const Observation& run : canonical(runs)) weights.push_back(run.weight);
  return weights;
}

TEST(Canonical, PutsTheHalvesOfARunTogether) {
  EXPECT_THAT(weights_in({run_of(3, 0.5), run_of(4, 1), run_of(3, 0.5)}),
              testing::ElementsAre(1, 1));
}

TEST(Canonical, PutsThirdsTogetherThatAreRounded) {
  EXPECT_THAT(weights_in(std::vector<Observation>(6, run_of(3, 0.333))),
              testing::Each(testing::DoubleNear(0.999, 1e-12)));
  EXPECT_EQ(weights_in(std::vector<Observation>(6, run_of(3, 0.333))).size(), 2);
}

TEST(Canonical, KeepsReplicasOfOneLoss) {
  EXPECT_THAT(weights_in({run_of(3, 1), run_of(3, 1)}), testing::ElementsAre(1, 1));
}

TEST(Canonical, KeepsPartsOfDifferentRuns) {
  Observation other = run_of(3, 0.5);
  other.run = "b";
  EXPECT_THAT(weights_in({run_of(3, 0.5), other}), testing::ElementsAre(0.5, 0.5));
}

TEST(Canonical, DoesNotDependOnTheOrderOfRows) {
  std::vector<Observation> runs = test::published_runs("chinchilla_245.csv");
  const std::vector<Observation> forwards = canonical(runs);
  std::reverse(runs.begin(), runs.end());
  const std::vector<Observation> backwards = canonical(runs);
  ASSERT_EQ(forwards.size(), backwards.size());
  for (std::size_t i = 0; i < runs.size(); ++i) EXPECT_EQ(forwards[i].loss, backwards[i].loss);
}

}  // namespace
}  // namespace ration::fit
