#include "report/remedy_figures.h"

#include <gtest/gtest.h>

namespace ration::report {
namespace {

TEST(ForestFigure, DrawsEachRemedyWithItsIntervalAndFlags) {
  plan::PriceRow bounded{.arm = "filter", .size = "20M", .multiplier = {1.4, 1.2, 1.7}};
  bounded.baseline = {Params(2e7), Tokens(8e8), Tokens(1e8)};
  bounded.gain = {0.02, 0.01, 0.03};
  plan::PriceRow open{.arm = "code", .size = "20M", .multiplier = {3, 2.5, {}}};
  open.baseline = bounded.baseline;
  open.flags = {plan::Flag::few_seeds, plan::Flag::saturated};
  const plan::PriceList list{.law = "data-constrained", .rows = {bounded, open}};

  const Figure figure = forest_figure(list);

  const Json& rows = figure.spec["data"]["values"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["remedy"], "filter (8 epochs)");
  EXPECT_EQ(rows[0]["low"], 1.2);
  EXPECT_EQ(rows[0]["high"], 1.7);
  EXPECT_EQ(rows[0]["claim"], "claimed");
  EXPECT_EQ(rows[1]["high"], 3);  // open: ends at its point
  EXPECT_EQ(rows[1]["claim"], "not claimed");
  EXPECT_EQ(rows[1]["flags"], "few seeds, saturated");
  EXPECT_EQ(figure.spec["spec"]["layer"].size(), 3U);
  EXPECT_EQ(figure.spec["facet"]["row"]["field"], "size");
}

}  // namespace
}  // namespace ration::report
