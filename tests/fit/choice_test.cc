#include "fit/choice.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "fit/support.h"

namespace ration::fit {
namespace {

std::vector<std::string> names(const Choice& choice) {
  std::vector<std::string> all;
  for (const Candidate& candidate : choice.candidates) all.emplace_back(candidate.law->name());
  return all;
}

double mean_error(const Candidate& candidate,
                  const std::vector<Observation>& runs,
                  double most_epochs) {
  double sum = 0;
  int count = 0;
  for (const Observation& run : runs) {
    if (run.tokens / run.unique > most_epochs) continue;
    const double predicted =
        test::loss_at(*candidate.law, candidate.x, run.params, run.tokens, run.unique);
    sum += std::abs(std::log(predicted / run.loss.value));
    ++count;
  }
  return sum / count;
}

// The published runs beyond 1e21 FLOPs or 140 epochs are scored by laws that saw none of them.
TEST(Choice, PredictsThePublishedRunsBeyondTheFittedOnes) {
  const std::vector<Observation> runs =
      test::published_runs("data_constrained_c4.csv", {.where = "split=fit"});
  const std::vector<Observation> beyond_runs =
      test::published_runs("data_constrained_c4.csv", {.where = "split=extrapolate"});

  const Choice choice = choose_law(runs, {.resamples = 0}, beyond(runs)).value();

  const Candidate& chosen = choice.candidates.front();
  EXPECT_LE(mean_error(chosen, beyond_runs, 20), 0.020) << chosen.law->name();
  EXPECT_LE(mean_error(chosen, beyond_runs, 1e9), 0.10) << chosen.law->name();
  const auto by_bic =
      std::min_element(choice.candidates.begin(),
                       choice.candidates.end(),
                       [](const Candidate& a, const Candidate& b) { return a.bic < b.bic; });
  EXPECT_GT(mean_error(*by_bic, beyond_runs, 1e9), 0.10) << "BIC alone would have erred";
}

TEST(Choice, WeighsPlainLawsAloneWhereNothingRepeats) {
  const std::vector<Observation> runs =
      test::published_runs("overtraining_104.csv",
                           {.columns = {{"loss", "loss_c4_val"}},
                            .where = "train_corpus=c4_original and chinchilla_multiplier<=4"});
  const std::vector<Observation> over_trained =
      test::published_runs("overtraining_104.csv",
                           {.columns = {{"loss", "loss_c4_val"}},
                            .where = "train_corpus=c4_original and chinchilla_multiplier>4"});

  const Choice choice = choose_law(runs, {.resamples = 0}, beyond(runs)).value();

  for (const Candidate& candidate : choice.candidates)
    EXPECT_FALSE(candidate.law->describes_repetition()) << candidate.law->name();
  EXPECT_LT(mean_error(choice.candidates.front(), over_trained, 1e9), 0.03);
}

TEST(Choice, CountsALawOnceHoweverItIsWritten) {
  const std::vector<Observation> runs =
      test::simulated_runs(*find_law("chinchilla"), {6.2, 7.3, 0.6, 0.35, 0.37}, 0.003);

  const Choice choice = choose_law(runs, {.resamples = 0}, beyond(runs)).value();

  EXPECT_THAT(names(choice), testing::Contains("chinchilla-tied"));
  EXPECT_THAT(names(choice), testing::Not(testing::Contains("over-training")));
}

TEST(Choice, ScoresEveryLawOnRunsThatItDidNotSee) {
  const std::vector<Observation> runs =
      test::simulated_runs(*find_law("data-constrained"),
                           {6.2, 7.3, 0.6, 0.35, 0.37, std::log(15.0), std::log(6.0)},
                           0.002);

  const Choice choice = choose_law(runs, {.resamples = 0}, beyond(runs)).value();

  for (const Candidate& candidate : choice.candidates) {
    ASSERT_EQ(candidate.extrapolations.size(), 4U);
    EXPECT_EQ(candidate.extrapolations[3].axis, "level");
    EXPECT_EQ(candidate.extrapolations[3].runs, static_cast<int>(runs.size()));
    if (candidate.law->name() != "data-constrained") continue;
    for (const Extrapolation& e : candidate.extrapolations) EXPECT_LT(e.mean_error, 0.01);
  }
}

// Five sizes at each of five computes, all on fresh tokens, without noise: whoever knows the law
// picks the best measured size.
TEST(Choice, RegretsNothingWhereALawHolds) {
  const Law& law = *find_law("chinchilla");
  const Coordinates x = {6.2, 7.3, 0.6, 0.35, 0.37};
  std::vector<Observation> runs;
  for (const double flops : {1e18, 6e18, 4e19, 2e20, 1e21})
    for (const double factor : {0.2, 0.5, 1.0, 2.0, 5.0}) {
      const Params params(factor * 0.1 * std::sqrt(flops / 6));
      const Tokens tokens = tokens_for(Flops(flops), params);
      runs.push_back({params, tokens, tokens, Loss(test::loss_at(law, x, params, tokens, tokens))});
    }

  const Choice choice = choose_law(runs, {.resamples = 0}, beyond(runs)).value();

  for (const Candidate& candidate : choice.candidates) {
    const Extrapolation& level = candidate.extrapolations.back();
    EXPECT_EQ(level.choices, 5) << candidate.law->name();
    EXPECT_GE(level.regret, 0) << candidate.law->name();
    if (candidate.law->name() == "chinchilla") {
      EXPECT_LT(level.regret, 1e-12);
    }
  }
}

TEST(Choice, RefusesRunsThatBearNoLaw) {
  std::vector<Observation> runs =
      test::simulated_runs(*find_law("chinchilla"), {6.2, 7.3, 0.6, 0.35, 0.37}, 0.003);
  runs.resize(3);

  EXPECT_FALSE(choose_law(runs, {.resamples = 0}, beyond(runs)));
}

}  // namespace
}  // namespace ration::fit
