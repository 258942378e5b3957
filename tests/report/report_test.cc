#include "report/report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/figures.h"
#include "support/temporary_folder.h"

namespace ration::report {
namespace {

// Runs that follow a law exactly: three sizes, two amounts of text, up to 16 epochs.
std::vector<fit::Observation> exact_runs() {
  std::vector<fit::Observation> runs;
  for (const double params : {1e4, 3e4, 1e5, 3e5})
    for (const double unique : {3e4, 1e5, 3e5})
      for (const double epochs : {1.0, 2.0, 4.0, 8.0, 16.0}) {
        const double loss =
            1.2 + 20 * std::pow(params, -0.3) + 60 * std::pow(unique * epochs, -0.35);
        runs.push_back({.params = Params(params),
                        .tokens = Tokens(unique * epochs),
                        .unique = Tokens(unique),
                        .loss = Loss(loss)});
      }
  return runs;
}

class Report : public testing::Test {
 protected:
  Report()
      : fit_(fit::fit_law(runs_, {.law = "chinchilla", .resamples = 8, .threads = 1}).value()) {}

  std::vector<fit::Observation> runs_ = exact_runs();
  fit::Fit fit_;
};

TEST_F(Report, ListsEveryRunWithItsPrediction) {
  const std::string csv = losses_csv(fit_, runs_);

  EXPECT_EQ(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')), runs_.size() + 1);
  EXPECT_TRUE(csv.starts_with(
      "params,tokens,unique_tokens,epochs,loss,predicted_loss,low,high\n10000,30000,30000,1,"));
}

TEST_F(Report, DrawsOnePointForEachRunAndALineForEachSizeAndText) {
  const Figure figure = runs_figure(fit_, runs_);
  std::size_t points = 0, line_points = 0;
  for (const Json& row : figure.spec["data"]["values"])
    row.contains("loss") ? ++points : ++line_points;

  EXPECT_EQ(points, runs_.size());
  EXPECT_EQ(line_points, 4U * 3U * 40U);
}

TEST_F(Report, DrawsTheResidualsOfAnExactLawAsZero) {
  const Figure figure = residuals_figure(fit_, runs_);
  for (const Json& row : figure.spec["data"]["values"])
    EXPECT_NEAR(row["residual"].get<double>(), 0, 0.01);
}

TEST_F(Report, MarksTheRecommendationAtTheBottomOfItsCurve) {
  const plan::Plan plan =
      plan::make_plan(fit_, {.budget = Flops(1e12), .unique = Tokens(1e5)}).value();
  const Figure figure = budget_figure(fit_, plan);

  double least = 1e300;
  for (const Json& row : figure.spec["layer"][1]["data"]["values"])
    least = std::min(least, row["loss"].get<double>());
  EXPECT_NEAR(figure.spec["layer"][2]["data"]["values"][0]["loss"].get<double>(), least, 1e-4);
}

TEST_F(Report, WritesPageTableAndOneSpecificationForEachFigure) {
  const test::TemporaryFolder folder;
  const plan::Plan plan =
      plan::make_plan(fit_, {.budget = Flops(1e12), .unique = Tokens(1e5)}).value();

  ASSERT_TRUE(write_report(real_files(),
                           folder / "out",
                           make_page(fit_, runs_, &plan),
                           losses_csv(fit_, runs_),
                           "script"));

  EXPECT_EQ(real_files().list(folder / "out").value(),
            (std::vector<std::string>{"loss-against-epochs.vl.json",
                                      "losses.csv",
                                      "report.html",
                                      "residuals.vl.json",
                                      "runs-and-law.vl.json"}));
}

TEST_F(Report, NamesTheFolderThatItCannotWrite) {
  const Result<void> done =
      write_report(real_files(), "/dev/null/report", make_page(fit_, runs_, nullptr), "", "");

  ASSERT_FALSE(done);
  EXPECT_NE(done.error().what.find("/dev/null/report"), std::string::npos);
}

}  // namespace
}  // namespace ration::report
