#include "study/fusion/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ration::study {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr Bootstrap kHow = {.draws = 1000};

// Losses of `arm` on four seen corpora and two unseen ones with three seeds, round after round.
template <class Loss>
std::vector<FusionLoss> losses_of(const std::string& arm, std::int64_t rounds, Loss loss) {
  std::vector<FusionLoss> found;
  for (std::int64_t round = 0; round <= rounds; ++round)
    for (int corpus = 0; corpus < 6; ++corpus)
      for (std::int64_t seed = 0; seed < 3; ++seed)
        found.push_back({.arm = arm,
                         .seed = seed,
                         .round = round,
                         .corpus = std::string(1, static_cast<char>('a' + corpus)),
                         .seen = corpus < 4,
                         .measure = Measure::zero_step,
                         .loss = loss(corpus, seed, round)});
  return found;
}

std::vector<FusionLoss> joined(std::vector<FusionLoss> a, const std::vector<FusionLoss>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const FusionTest& of(const std::vector<FusionTest>& tests, Corpora group) {
  for (const FusionTest& test : tests)
    if (test.group == group) return test;
  throw std::runtime_error("no such group");
}

TEST(Gains, ArePairedByCorpusAndSeed) {
  // The losses vary by far more than the arms differ, but in both alike.
  const auto base = [](int corpus, std::int64_t seed, std::int64_t) {
    return 3.0 + corpus + 0.25 * static_cast<double>(seed);
  };
  const auto losses =
      joined(losses_of("none", 0, base), losses_of("mean", 2, [&](auto c, auto s, auto r) {
               return base(c, s, r) - (r == 2 ? 0.125 : 9.0);  // the last counts
             }));

  const std::vector<FusionTest> tests = gains(losses, "mean", "none", kHow);

  ASSERT_THAT(tests, SizeIs(3));
  for (const FusionTest& test : tests) {
    EXPECT_DOUBLE_EQ(test.nested.value, 0.125);
    EXPECT_DOUBLE_EQ(test.nested.low, 0.125);
    EXPECT_DOUBLE_EQ(test.nested.high, 0.125);
    EXPECT_DOUBLE_EQ(test.crossed.value, 0.125);
  }
  EXPECT_EQ(of(tests, Corpora::all).wins, 6);
  EXPECT_EQ(of(tests, Corpora::all).losses, 0);
  EXPECT_DOUBLE_EQ(of(tests, Corpora::all).sign, 2.0 / 64);  // both tails of six coins
  EXPECT_EQ(of(tests, Corpora::unseen).wins, 2);
}

TEST(Gains, KeepSeenAndUnseenCorporaApart) {
  const auto losses =
      joined(losses_of("none", 0, [](auto...) { return 2.0; }),
             losses_of("mean", 1, [](int corpus, auto, auto) { return corpus < 4 ? 1.5 : 2.25; }));

  const std::vector<FusionTest> tests = gains(losses, "mean", "none", kHow);

  EXPECT_DOUBLE_EQ(of(tests, Corpora::seen).nested.value, 0.5);
  EXPECT_DOUBLE_EQ(of(tests, Corpora::unseen).nested.value, -0.25);
  EXPECT_EQ(of(tests, Corpora::unseen).losses, 2);
  EXPECT_DOUBLE_EQ(of(tests, Corpora::all).nested.value, (4 * 0.5 - 2 * 0.25) / 6);
  EXPECT_FALSE(of(tests, Corpora::all).nested.differs());  // two corpora against four
}

TEST(Gains, AreNotBornOfOneSeedThatMovesAllCorpora) {
  // A base that one seed makes better for every corpus: as many corpora do not make it surer.
  const auto losses = joined(losses_of("none", 0, [](auto...) { return 2.0; }),
                             losses_of("mean", 1, [](int, std::int64_t seed, std::int64_t) {
                               return seed == 0 ? 1.0 : 2.0;
                             }));

  const FusionTest test = of(gains(losses, "mean", "none", kHow), Corpora::all);

  EXPECT_TRUE(test.nested.differs());
  EXPECT_FALSE(test.crossed.differs());
}

TEST(Gains, LeaveOutLossesThatAreNotFinite) {
  const auto losses =
      joined(losses_of("none", 0, [](auto...) { return 2.0; }),
             losses_of("mean", 1, [](int corpus, std::int64_t seed, auto) {
               return corpus == 0 && seed == 1 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
             }));

  const FusionTest test = of(gains(losses, "mean", "none", kHow), Corpora::all);

  EXPECT_EQ(test.left_out, 1);
  EXPECT_DOUBLE_EQ(test.nested.value, 1.0);
}

TEST(Gains, OfWhatWasNotMeasuredAreNone) {
  EXPECT_THAT(gains({}, "mean", "none", kHow), IsEmpty());
  EXPECT_THAT(gains(losses_of("mean", 1, [](auto...) { return 1.0; }), "mean", "multitask", kHow),
              IsEmpty());
}

TEST(Against, CountsInStandardErrorsOfTheOther) {
  // Means over corpora of the clean arm: 1.9, 2.0, 2.1, with a standard error of 0.1 / sqrt(3).
  const auto losses = joined(
      losses_of("clean",
                1,
                [](int, std::int64_t seed, auto) { return 1.9 + 0.1 * static_cast<double>(seed); }),
      losses_of("faulty", 1, [](auto...) { return 2.3; }));

  const FusionTest test = of(against(losses, "faulty", "clean", kHow), Corpora::all);

  EXPECT_NEAR(test.standard_errors, 0.3 / (0.1 / std::sqrt(3.0)), 1e-9);
  EXPECT_NEAR(test.nested.value, -0.3, 1e-12);
  EXPECT_EQ(test.losses, 6);
}

TEST(Slopes, AreThoseOfTheLinesThroughTheRounds) {
  const auto losses = losses_of("mean", 4, [](int corpus, auto, std::int64_t round) {
    return 3.0 + corpus - 0.5 * static_cast<double>(round) + (round == 2 ? 0.25 : 0.0);
  });

  const FusionTest test = of(slopes(losses, "mean", kHow), Corpora::all);

  EXPECT_NEAR(test.nested.value, -0.5, 1e-12);  // the bump in the middle tilts nothing
  EXPECT_EQ(test.wins, 6);
  EXPECT_TRUE(std::isnan(test.standard_errors));
}

TEST(Slopes, NeedTwoRounds) {
  EXPECT_THAT(slopes(losses_of("none", 0, [](auto...) { return 1.0; }), "none", kHow), IsEmpty());
}

TEST(Adjust, TellsApartWhatAnswersDifferentQuestions) {
  const auto test_of = [](const char* question, Corpora group, double p) {
    FusionTest test{
        .question = question, .arm = "a", .other = {}, .group = group, .nested = {}, .crossed = {}};
    test.nested.p = p;
    return test;
  };
  std::vector<FusionTest> tests = {test_of("gain", Corpora::all, 0.01),
                                   test_of("gain", Corpora::all, 0.04),
                                   test_of("gain", Corpora::seen, 0.03),
                                   test_of("slope", Corpora::all, 0.02)};

  adjust(tests);

  EXPECT_DOUBLE_EQ(tests[0].holm, 0.02);
  EXPECT_DOUBLE_EQ(tests[1].holm, 0.04);
  EXPECT_DOUBLE_EQ(tests[2].holm, 0.03);
  EXPECT_DOUBLE_EQ(tests[3].holm, 0.02);
}

}  // namespace
}  // namespace ration::study
