#include "study/region/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "region/hull.h"
#include "region/line.h"
#include "region/plane_map.h"
#include "report/model_figures.h"
#include "report/vega.h"

namespace ration::study {
namespace {

using report::rounded;

Json nominal(const char* field, const char* title) {
  return {{"field", field}, {"type", "nominal"}, {"title", title}};
}

// Models of the first start, by family, corpus and replica.
std::vector<std::size_t> by_label(const RegionModels& models) {
  std::vector<std::size_t> order(models.models.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&](std::size_t i) {
    const Model& model = models.models[i];
    return std::tuple(models.family.at(model.corpus), model.corpus, model.replica);
  };
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

Json vertical(double at) {
  return {{"data", {{"values", Json::array({{{"at", at}}})}}},
          {"mark", {{"type", "rule"}, {"strokeDash", {4, 4}}, {"color", "#666"}}},
          {"encoding", {{"x", {{"field", "at"}, {"type", "quantitative"}}}}}};
}

}  // namespace

report::Figure cosine_figure(const RegionModels& models, const RegionVectors& vectors) {
  const std::vector<std::size_t> order = by_label(models);
  report::Matrix matrix{
      .name = "cosines",
      .caption =
          "Cosines of what fine-tuning added to the weights, ordered by family and corpus: "
          "squares along the diagonal are corpora whose models agree.",
      .quantity = "cosine",
      .models = {},
      .values = {}};
  for (const std::size_t i : order) {
    matrix.models.push_back(model_label(models.models[i]));
    for (const std::size_t j : order) matrix.values.push_back(vectors.all().cosine(i, j));
  }
  return report::matrix_figure(matrix);
}

report::Figure map_figure(const RegionModels& models, const RegionVectors& vectors) {
  const std::size_t n = models.models.size();
  std::vector<double> squares;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      squares.push_back(vectors.all().squares[i * vectors.all().models() + j]);
  const region::PlaneMap map = region::plane_map(squares, n);
  report::Plane plane{.name = "map",
                      .caption = fmt::format("Distances between models in two dimensions, which "
                                             "hold {:.0f} % of the variance.",
                                             100 * map.share),
                      .colour = "corpus",
                      .shape = "family",
                      .points = {}};
  for (std::size_t i = 0; i < n; ++i)
    plane.points.push_back({.x = map.x[i],
                            .y = map.y[i],
                            .model = model_label(models.models[i]),
                            .colour = models.models[i].corpus,
                            .shape = models.family.at(models.models[i].corpus)});
  return report::plane_figure(plane);
}

report::Figure lines_figure(std::span<const LineResult> lines) {
  const std::vector<double> alphas = region::line_alphas();
  Json values = Json::array();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    double ends = 0;
    for (std::size_t k = 0; k < alphas.size(); ++k)
      if (alphas[k] == 0 || alphas[k] == 1) ends += lines[i].losses[k] / 2;
    constexpr double kFurthest = 2;  // beyond, losses are of another size
    for (std::size_t k = 0; k < alphas.size(); ++k)
      if (alphas[k] >= -1 && alphas[k] <= kFurthest)
        values.push_back({{"kind", lines[i].kind},
                          {"line", i},
                          {"alpha", rounded(alphas[k])},
                          {"loss", rounded(lines[i].losses[k] - ends)}});
  }
  Json loss = report::axis("loss", "loss - mean of the ends (nats)", false);
  loss["scale"] = {{"type", "symlog"}, {"constant", 0.05}};
  Json curves = {{"data", {{"values", values}}},
                 {"mark", {{"type", "line"}, {"opacity", 0.6}}},
                 {"encoding",
                  {{"x", report::axis("alpha", "alpha", false)},
                   {"y", loss},
                   {"detail", nominal("line", "")},
                   {"color", nominal("kind", "line")}}}};
  Json spec = {{"width", 520},
               {"height", 360},
               {"layer", Json::array({std::move(curves), vertical(0), vertical(1)})}};
  return {.name = "lines",
          .caption =
              "Loss along lines between two models (at 0 and 1) and a little beyond them; a "
              "hill between the marks is a barrier. The axis is linear below 0.05 nats.",
          .spec = report::top_level(std::move(spec), "losses along lines between models")};
}

report::Figure better_figure(const RegionTable& table,
                             std::span<const HullLosses> losses,
                             const std::string& level) {
  Json values = Json::array();
  for (const HullLosses& some : losses) {
    if (some.region.level != level) continue;
    for (const Better& better : better_of(table, some))
      if (better.x == "hull")
        values.push_back({{"region", some.region.name},
                          {"y", better.y},
                          {"p", rounded(better.over_models.value)},
                          {"low", rounded(better.over_models.low)},
                          {"high", rounded(better.over_models.high)},
                          {"sample_low", rounded(better.over_samples.low)},
                          {"sample_high", rounded(better.over_samples.high)}});
  }
  const Json region = nominal("region", "region"), by = nominal("y", "compared with");
  const auto interval = [&](const char* low, const char* high, int width) {
    return Json{{"mark", {{"type", "rule"}, {"strokeWidth", width}}},
                {"encoding",
                 {{"x", region},
                  {"xOffset", {{"field", "y"}}},
                  {"y", {{"field", low}, {"type", "quantitative"}}},
                  {"y2", {{"field", high}}}}}};
  };
  Json bars = {{"mark", {{"type", "bar"}, {"opacity", 0.6}}},
               {"encoding",
                {{"x", region},
                 {"xOffset", {{"field", "y"}}},
                 {"y",
                  {{"field", "p"},
                   {"type", "quantitative"},
                   {"title", "P(hull's loss is lower)"},
                   {"scale", {{"domain", {0, 1}}}}}},
                 {"color", by}}}};
  Json spec = {{"data", {{"values", values}}},
               {"width", 640},
               {"height", 260},
               {"layer",
                Json::array({std::move(bars),
                             interval("low", "high", 1),
                             interval("sample_low", "sample_high", 3)})}};
  return {
      .name = "better-" + level,
      .caption =
          "How often a point of the hull has a lower loss on the region's text. Thin: "
          "interval over the models that it is compared with; thick: over the hull's "
          "points, given its members.",
      .spec = report::top_level(std::move(spec), "probabilities that a hull's point is better")};
}

report::Figure triangle_figure(const RegionModels& models, const RegionLosses& losses) {
  const std::vector<std::size_t> corners = triangle_of(models);
  report::Triangle triangle{.name = "triangle",
                            .caption = "Mean loss over three corpora between a model of each.",
                            .quantity = "mean loss (nats)",
                            .corners = {},
                            .weights = {},
                            .losses = {}};
  for (const std::size_t corner : corners) triangle.corners.push_back(models.models[corner].corpus);
  if (!corners.empty()) triangle.weights = region::triangle_weights(10);
  for (std::size_t i = 0; i < triangle.weights.size(); ++i) {
    double loss = 0;
    for (const std::string& corpus : triangle.corners)
      loss += losses.at(triangle_point(i), corpus) / static_cast<double>(triangle.corners.size());
    triangle.losses.push_back(loss);
  }
  return report::triangle_figure(triangle);
}

}  // namespace ration::study
