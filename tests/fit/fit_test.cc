#include "fit/fit.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "fit/choice.h"
#include "fit/fit_file.h"
#include "fit/objective.h"
#include "fit/support.h"

namespace ration::fit {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

const Coordinates kTruth = {6.2, 7.3, 0.6, 0.35, 0.37, std::log(15.0), std::log(6.0)};

std::vector<Observation> repeated_runs(double noise, std::uint64_t seed = 1) {
  return test::simulated_runs(*find_law("data-constrained"), kTruth, noise, seed);
}

Fit fitted(const std::vector<Observation>& runs, const Options& options) {
  Result<Fit> fit = fit_law(runs, options);
  if (!fit) throw std::runtime_error(fit.error().describe());
  return std::move(*fit);
}

const Estimate& estimate(const Fit& fit, std::string_view name) {
  return *std::find_if(fit.parameters.begin(), fit.parameters.end(), [&](const Estimate& e) {
    return e.name == name;
  });
}

auto doubt_on(const std::string& subject, const std::string& words, bool fatal) {
  return Contains(AllOf(Field(&Doubt::subject, subject),
                        Field(&Doubt::what, HasSubstr(words)),
                        Field(&Doubt::fatal, fatal)));
}

TEST(Fit, RecoversTheParametersThatMadeTheRuns) {
  const Fit fit = fitted(repeated_runs(0), {.resamples = 0});

  for (std::size_t j = 0; j < kTruth.size(); ++j)
    EXPECT_NEAR(fit.coordinates()[j], kTruth[j], 1e-4) << fit.parameters[j].name;
  EXPECT_LT(fit.residual_rms, 1e-6);
  EXPECT_TRUE(fit.trusted());
}

TEST(Fit, CoversTheTruthWithMostOfItsIntervals) {
  // 90 % intervals of 4 sweeps x 7 parameters: fewer than 18 of 28 hits would happen once in 10^5
  // trials even if parameters of one sweep hit or miss in pairs.
  int hits = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Fit fit = fitted(repeated_runs(0.003, seed), {.delta = 0.01, .resamples = 100});
    for (std::size_t j = 0; j < kTruth.size(); ++j) {
      const Estimate& e = fit.parameters[j];
      const double truth = fit.law->parameters()[j].value(kTruth[j]);
      hits += (!e.low || *e.low <= truth) && (!e.high || truth <= *e.high) ? 1 : 0;
    }
    const Estimate& rd_star = estimate(fit, "rd_star");
    ASSERT_TRUE(rd_star.identified);
    EXPECT_LT(*rd_star.high / *rd_star.low, 3);
  }
  EXPECT_GE(hits, 18);
}

TEST(Fit, DependsNeitherOnTheOrderOfRunsNorOnThreads) {
  std::vector<Observation> runs = repeated_runs(0.005);
  const Fit first = fitted(runs, {.resamples = 20, .threads = 1});
  std::reverse(runs.begin(), runs.end());
  std::swap(runs[3], runs[77]);

  const Fit second = fitted(runs, {.resamples = 20, .threads = 3});

  EXPECT_EQ(first.objective, second.objective);
  EXPECT_EQ(first.draws, second.draws);
  EXPECT_EQ(to_json(first), to_json(second));
}

TEST(Fit, FindsTheSameLawWhenEveryRunIsGivenTwice) {
  const std::vector<Observation> once = repeated_runs(0.005);
  std::vector<Observation> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());

  const Fit a = fitted(once, {.law = "data-constrained-data", .resamples = 10});
  const Fit b = fitted(twice, {.law = "data-constrained-data", .resamples = 10});

  EXPECT_NEAR(b.objective, 2 * a.objective, 1e-11 * b.objective);
  EXPECT_EQ(b.cells, a.cells);
  for (std::size_t j = 0; j < a.parameters.size(); ++j) {
    EXPECT_NEAR(b.coordinates()[j], a.coordinates()[j], 1e-6);
    // Replicas share a cell, so that the same cells are drawn and the intervals stay.
    EXPECT_NEAR(*b.parameters[j].low, *a.parameters[j].low, 1e-4 * *a.parameters[j].low);
  }
}

// Ten equal checkpoints a run, or ten rows of a tenth of the weight, say what one row says.
TEST(Fit, DoesNotChangeWhenRowsAreSplit) {
  const std::vector<Observation> once = repeated_runs(0.005);
  std::vector<Observation> checkpoints, shares;
  for (std::size_t i = 0; i < once.size(); ++i)
    for (int k = 0; k < 10; ++k) {
      checkpoints.push_back(once[i]);
      checkpoints.back().run = std::to_string(i);
      shares.push_back(once[i]);
      shares.back().weight = 0.1;
    }
  const Options options = {.law = "data-constrained-data", .resamples = 10, .profile_points = 5};
  const Fit a = fitted(once, options);

  for (const Fit& b : {fitted(checkpoints, options), fitted(shares, options)}) {
    EXPECT_NEAR(b.objective, a.objective, 1e-11 * a.objective);
    ASSERT_EQ(b.minima.size(), a.minima.size());
    for (std::size_t j = 0; j < a.parameters.size(); ++j) {
      const Estimate &of_a = a.parameters[j], &of_b = b.parameters[j];
      EXPECT_NEAR(of_b.value, of_a.value, 1e-5 * of_a.value) << of_a.name;
      ASSERT_EQ(of_b.sandwich_error.has_value(), of_a.sandwich_error.has_value());
      // The density of residuals at zero is taken by a kernel over ranks, which copies shift a
      // little.
      if (of_a.sandwich_error) {
        EXPECT_NEAR(*of_b.sandwich_error, *of_a.sandwich_error, 0.05 * *of_a.sandwich_error);
        EXPECT_NEAR(
            *of_b.least_squares_error, *of_a.least_squares_error, 1e-4 * *of_a.least_squares_error);
      }
    }
  }
}

TEST(Fit, MovesOnlyTheScalesWhenTheUnitOfCountsChanges) {
  std::vector<Observation> runs =
      test::simulated_runs(*find_law("chinchilla"), {6.2, 7.3, 0.6, 0.35, 0.37}, 0.005);
  const Fit plain = fitted(runs, {.law = "chinchilla", .resamples = 0});
  for (Observation& run : runs) {
    run.params = run.params / 1e6;
    run.tokens = run.tokens / 1e9;
    run.unique = run.unique / 1e9;
  }

  const Fit scaled = fitted(runs, {.law = "chinchilla", .resamples = 0});

  EXPECT_NEAR(scaled.objective, plain.objective, 1e-9 * plain.objective);
  EXPECT_NEAR(estimate(scaled, "alpha").value, estimate(plain, "alpha").value, 1e-7);
  EXPECT_NEAR(estimate(scaled, "A").value,
              estimate(plain, "A").value * std::pow(1e6, -estimate(plain, "alpha").value),
              1e-5);
}

TEST(Fit, NamesRdStarAsNotIdentifiedWhenNothingRepeats) {
  std::vector<Observation> runs = repeated_runs(0.003);
  std::erase_if(runs, [](const Observation& run) { return run.tokens > run.unique; });

  const Fit fit = fitted(runs, {.resamples = 20});

  EXPECT_THAT(fit.doubts, doubt_on("rd_star", "no run repeats", true));
  EXPECT_FALSE(fit.trusted());
  EXPECT_EQ(exit_code(untrusted(fit).kind), 4);
  EXPECT_THAT(untrusted(fit).describe(), HasSubstr("rd_star"));
}

TEST(Fit, LeavesAnIntervalOpenWhereRepeatsDoNotDecay) {
  Coordinates x = kTruth;
  x[5] = std::log(1e4);
  x[6] = std::log(1e4);

  const Fit fit =
      fitted(test::simulated_runs(*find_law("data-constrained"), x, 0.003), {.resamples = 60});

  EXPECT_FALSE(estimate(fit, "rd_star").identified);
  EXPECT_TRUE(estimate(fit, "rd_star").low.has_value());
  EXPECT_FALSE(estimate(fit, "rd_star").high.has_value());
  EXPECT_THAT(fit.doubts, doubt_on("rd_star", "no upper end", false));
  EXPECT_TRUE(fit.trusted()) << "one open side leaves the law usable";
}

TEST(Fit, IsNotTrustedWithFewerSettingsThanParameters) {
  std::vector<Observation> runs = repeated_runs(0.003);
  std::vector<Observation> few = {runs[0], runs[20], runs[45], runs[70], runs[95], runs[119]};

  const Fit fit = fitted(few, {.resamples = 10});

  EXPECT_THAT(fit.doubts, doubt_on("runs", "6 different settings", true));
}

// The same runs in order, so few of them that the law could bend to anything.
TEST(Fit, IsTrustedWhereFewRunsFollowTheLaw) {
  const std::vector<Observation> all = repeated_runs(0.003);
  std::vector<Observation> runs;
  for (std::size_t i = 0; i < all.size(); i += 8) runs.push_back(all[i]);

  EXPECT_TRUE(fitted(runs, {.resamples = 0}).trusted());
}

// Not one byte: the document has estimates, intervals, profiles, information criteria, errors of
// extrapolation and draws of all laws.
TEST(Fit, IsTheSameWhenRowsAreGivenTwiceAtHalfTheWeight) {
  const std::vector<Observation> published = test::published_runs("chinchilla_245.csv");
  std::vector<Observation> once, twice;
  for (std::size_t i = 0; i < published.size(); i += 6) once.push_back(published[i]);
  for (std::size_t i = 0; i < once.size(); ++i) {
    twice.push_back(once[i]);
    if (i % 3 == 0) continue;
    twice.back().weight /= 2;
    twice.push_back(twice.back());
  }
  const auto document = [](const std::vector<Observation>& runs) {
    Options options{.law = "chinchilla", .resamples = 20, .profile_points = 5, .threads = 1};
    Choice choice = choose_law(runs, options, beyond(runs)).value();
    options.law = choice.candidates.front().law->name();
    Fit fit = fitted(runs, options);
    fit.candidates = std::move(choice.candidates);
    return to_json(fit).dump();
  };
  EXPECT_EQ(document(once), document(twice));
}

TEST(Fit, IsNotTrustedWhenOneSizeWasTrained) {
  std::vector<Observation> runs = repeated_runs(0.003);
  std::erase_if(runs, [](const Observation& run) { return run.params != Params(4e7); });

  const Fit fit = fitted(runs, {.law = "chinchilla", .resamples = 0});

  EXPECT_THAT(fit.doubts, doubt_on("alpha", "same number of parameters", true));
}

TEST(Fit, HoldsParametersAtGivenValues) {
  const Fit fit = fitted(repeated_runs(0.003),
                         {.resamples = 10, .fixed = {{"alpha", 0.35}, {"E", std::exp(0.6)}}});

  EXPECT_DOUBLE_EQ(estimate(fit, "alpha").value, 0.35);
  EXPECT_TRUE(estimate(fit, "E").fixed);
  EXPECT_NEAR(estimate(fit, "rd_star").value, 15, 5);
}

TEST(Fit, OfNoneOrOneFreeParameterIsAFitToo) {
  const std::vector<Observation> runs = repeated_runs(0.005);
  for (const Law* law : all_laws()) {
    Options options{.law = std::string(law->name()), .resamples = 3, .profile_points = 3};
    const Coordinates typical = law->typical();
    for (std::size_t j = 0; j < law->size(); ++j) {
      const Parameter& parameter = law->parameters()[j];
      options.fixed.emplace_back(parameter.name, parameter.value(typical[j]));
    }
    const Fit held = fitted(runs, options);
    double by_hand = 0;
    for (const Observation& run : runs)
      by_hand += huber(std::log(test::loss_at(*law, typical, run.params, run.tokens, run.unique) /
                                run.loss.value),
                       options.delta);
    EXPECT_NEAR(held.objective, by_hand, 1e-9 * by_hand) << law->name();

    options.fixed.pop_back();
    EXPECT_LE(fitted(runs, options).objective, held.objective * (1 + 1e-9)) << law->name();
  }
}

TEST(Fit, DoubtsWeightsThatLeaveAFewRuns) {
  std::vector<Observation> runs = repeated_runs(0.005);
  runs.front().weight = 1e12;
  EXPECT_FALSE(fitted(runs, {.resamples = 0}).trusted());
}

TEST(Fit, AgreesFromManyStartsWhereLossesHaveNoNoise) {
  const Fit fit = fitted(repeated_runs(0), {.resamples = 100});

  EXPECT_GT(fit.search.agree, 1);
  EXPECT_TRUE(fit.doubts.empty()) << fit.doubts.front().what;
  EXPECT_NEAR(estimate(fit, "rd_star").value, 15, 1e-6);
}

TEST(Fit, MinimisesSquaresWhenAsked) {
  const std::vector<Observation> runs = repeated_runs(0.005);
  const Fit squares = fitted(runs, {.objective = Objective::squares, .resamples = 0});
  const Fit huber = fitted(runs, {.delta = 1e3, .resamples = 0});

  EXPECT_NEAR(squares.objective, huber.objective, 1e-9 * huber.objective);
  EXPECT_NEAR(squares.objective,
              squares.runs * squares.residual_rms * squares.residual_rms / 2,
              1e-9 * squares.objective);
}

TEST(Fit, NamesEveryWrongOption) {
  const std::vector<Error> problems =
      check({.law = "chinchila", .delta = -1, .resamples = -5, .interval = 1.5, .threads = -1});

  ASSERT_EQ(problems.size(), 5U);
  EXPECT_THAT(problems[0].hint, HasSubstr("chinchilla"));
  EXPECT_EQ(check({.fixed = {{"gamma", 1}, {"alpha", 99}}}).size(), 2U);
}

TEST(Fit, RefusesRunsThatCannotBeUsedAndNamesAll) {
  std::vector<Observation> runs = repeated_runs(0.003);
  runs[4].loss = Loss(NAN);
  runs[9].tokens = runs[9].unique / 2;

  const Result<Fit> fit = fit_law(runs, {});

  ASSERT_FALSE(fit);
  EXPECT_THAT(fit.error().describe(), AllOf(HasSubstr("run 5"), HasSubstr("run 10")));
}

TEST(Fit, RefusesOneRunAndEqualLosses) {
  std::vector<Observation> runs = repeated_runs(0.003);
  EXPECT_EQ(exit_code(fit_law(std::span(runs).first(1), {}).error().kind), 2);
  for (Observation& run : runs) run.loss = Loss(3);
  EXPECT_THAT(fit_law(runs, {}).error().what, HasSubstr("equal 3"));
}

TEST(FitFile, ReadsBackWhatItWrote) {
  Fit fit = fitted(repeated_runs(0.005), {.resamples = 12, .seed = 7});
  fit.source = "runs.csv";
  fit.params_convention = "6nd_head";
  const std::string text = to_json(fit).dump();

  Result<Json> document = parse_json(text, "fit.json");
  ASSERT_TRUE(document);
  Result<Fit> read = fit_from_json(*document, "fit.json");

  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->law, fit.law);
  EXPECT_EQ(read->draws.size(), 12U);
  for (std::size_t j = 0; j < fit.parameters.size(); ++j)
    EXPECT_EQ(read->parameters[j].value, fit.parameters[j].value);
  EXPECT_EQ(read->params_convention, "6nd_head");
  EXPECT_EQ(read->range.epochs.high, 40);
  EXPECT_EQ(to_json(*read)["doubts"], to_json(fit)["doubts"]);
}

TEST(FitFile, NamesWhatIsMissing) {
  Json document = to_json(fitted(repeated_runs(0.005), {.resamples = 2}));
  const auto problem = [](const Json& d) { return fit_from_json(d, "f.json").error().describe(); };

  Json other = document;
  other["law"] = "chinchila";
  EXPECT_THAT(problem(other), AllOf(HasSubstr("chinchila"), HasSubstr("did you mean")));
  other = document;
  other["parameters"].erase("rd_star");
  EXPECT_THAT(problem(other), HasSubstr("rd_star"));
  other = document;
  other["parameters"]["A"]["value"] = -3;
  EXPECT_THAT(problem(other), HasSubstr("A cannot be -3"));
  other = document;
  other["bootstrap"]["draws"][1] = Json::array({1, 2});
  EXPECT_THAT(problem(other), HasSubstr("draw 2"));
  EXPECT_THAT(problem(Json::array()), HasSubstr("ration.fit/1"));
}

TEST(Prediction, LiesWithinItsIntervalAndReproducesTheRuns) {
  const std::vector<Observation> runs = repeated_runs(0.003);
  const Fit fit = fitted(runs, {.resamples = 60});
  Points points;
  for (const Observation& run : runs) points.add(run.params, run.tokens, run.unique);

  const std::vector<Prediction> predictions = predict(fit, points);

  for (std::size_t i = 0; i < runs.size(); ++i) {
    EXPECT_NEAR(predictions[i].value, runs[i].loss.value, 0.02 * runs[i].loss.value);
    EXPECT_LE(*predictions[i].low, *predictions[i].high);
  }
}

TEST(PercentileInterval, CutsEqualShares) {
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);

  const Span span = percentile_interval(values, 0.90);

  EXPECT_NEAR(span.low, 5, 1e-12);
  EXPECT_NEAR(span.high, 95, 1e-12);
}

}  // namespace
}  // namespace ration::fit
