#include "report/model_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ration::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(MatrixFigure, HasACellForEachPairAndLeavesMissingOnesBlank) {
  const Figure figure = matrix_figure({.name = "cosines",
                                       .caption = "",
                                       .quantity = "cosine",
                                       .models = {"a", "b"},
                                       .values = {kNone, 0.25, 0.5, kNone}});

  const Json& rows = figure.spec.at("data").at("values");
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1], (Json{{"a", "b"}, {"b", "a"}, {"value", 0.25}}));  // row a, column b
  EXPECT_EQ(rows[2], (Json{{"a", "a"}, {"b", "b"}, {"value", 0.5}}));
  EXPECT_TRUE(rows[0].at("value").is_null());
}

TEST(MatrixFigure, KeepsTheOrderOfTheModels) {
  const Figure figure = matrix_figure(
      {.name = "", .caption = "", .quantity = "", .models = {"b", "a"}, .values = {1, 2, 3, 4}});

  for (const char* axis : {"x", "y"})
    EXPECT_EQ(figure.spec.at("encoding").at(axis).at("sort"), (Json{"b", "a"}));
}

TEST(PlaneFigure, HasLegendsForNamedWordsAlone) {
  const Plane plane{.name = "map",
                    .caption = "",
                    .colour = "corpus",
                    .shape = "",
                    .points = {{.x = 1, .y = 2, .model = "m", .colour = "law", .shape = ""}}};

  const Json encoding = plane_figure(plane).spec.at("encoding");

  EXPECT_EQ(encoding.at("color").at("title"), "corpus");
  EXPECT_FALSE(encoding.contains("shape"));
}

TEST(TriangleFigure, PutsUnitWeightsOnTheCornersOfAnEquilateralTriangle) {
  const Figure figure = triangle_figure({.name = "triangle",
                                         .caption = "",
                                         .quantity = "loss",
                                         .corners = {"a", "b", "c"},
                                         .weights = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
                                         .losses = {1, 2, 3}});

  const Json& rows = figure.spec.at("layer")[0].at("data").at("values");
  const auto apart = [&](std::size_t i, std::size_t j) {
    return std::hypot(rows[i].at("x").get<double>() - rows[j].at("x").get<double>(),
                      rows[i].at("y").get<double>() - rows[j].at("y").get<double>());
  };
  for (const auto& [i, j] : {std::pair(0U, 1U), std::pair(0U, 2U), std::pair(1U, 2U)})
    EXPECT_NEAR(apart(i, j), 1, 1e-5);  // coordinates have six digits
}

TEST(FigureName, HasNoCharacterThatAFileOrAnElementCannotHave) {
  EXPECT_EQ(figure_name("layer 10"), "layer-10");
  EXPECT_EQ(figure_name("a/b\"c"), "a-b-c");
}

}  // namespace
}  // namespace ration::report
