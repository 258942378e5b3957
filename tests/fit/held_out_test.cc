// The average over laws, set on some published runs and asked for others. docs/laws.md has more
// such splits.

#include <gmock/gmock.h>

#include <cmath>

#include "fit/average.h"
#include "fit/choice.h"
#include "fit/support.h"

namespace ration::fit {
namespace {

double error_of(const Average& average, const std::vector<Observation>& runs, double most_epochs) {
  Points points;
  std::vector<double> log_loss;
  for (const Observation& run : runs) {
    if (run.tokens / run.unique > most_epochs) continue;
    points.add(run.params, run.tokens, run.unique);
    log_loss.push_back(std::log(run.loss.value));
  }
  const std::vector<Prediction> predicted = predict(average, points, 0.9);
  double sum = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i)
    sum += std::abs(std::log(predicted[i].value) - log_loss[i]);
  return sum / static_cast<double>(predicted.size());
}

// What `ration fit --law auto` holds, without intervals.
Fit fit_auto(const std::vector<Observation>& runs) {
  Options options{.resamples = 0, .profile_points = 0};
  Choice choice = choose_law(runs, options, beyond(runs)).value();
  options.law = choice.candidates.front().law->name();
  Fit fit = fit_law(runs, options).value();
  fit.candidates = std::move(choice.candidates);
  return fit;
}

// Chosen and weighed on split=fit alone; the bounds are the project's own.
TEST(Average, PredictsThePublishedRunsBeyondTheFittedOnes) {
  const Fit fit = fit_auto(test::published_runs("data_constrained_c4.csv", {.where = "split=fit"}));
  const std::vector<Observation> beyond_runs =
      test::published_runs("data_constrained_c4.csv", {.where = "split=extrapolate"});

  const Average average = average_of(fit);

  EXPECT_LE(error_of(average, beyond_runs, 20), 0.020);
  EXPECT_LE(error_of(average, beyond_runs, 1e9), 0.10);
  Average chosen;
  chosen.modes = {{fit.law, fit.coordinates(), 1}};
  EXPECT_LT(error_of(average, beyond_runs, 20), error_of(chosen, beyond_runs, 20));
  EXPECT_LT(error_of(average, beyond_runs, 1e9), error_of(chosen, beyond_runs, 1e9));
}

// The same rule on another table: fitted up to four times the Chinchilla tokens, asked beyond.
TEST(Average, PredictsOverTrainedRunsBetterThanTheChosenLaw) {
  const auto runs = [](const std::string& where) {
    return test::published_runs(
        "overtraining_104.csv",
        {.columns = {{"loss", "loss_c4_val"}}, .where = "train_corpus=c4_original and " + where});
  };
  const Fit fit = fit_auto(runs("chinchilla_multiplier<=4"));
  const std::vector<Observation> over_trained = runs("chinchilla_multiplier>4");

  Average chosen;
  chosen.modes = {{fit.law, fit.coordinates(), 1}};
  EXPECT_LT(error_of(average_of(fit), over_trained, 1e9), 0.02);
  EXPECT_LT(error_of(average_of(fit), over_trained, 1e9), error_of(chosen, over_trained, 1e9));
}

}  // namespace
}  // namespace ration::fit
