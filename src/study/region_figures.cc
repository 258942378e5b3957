#include "study/region_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "region/hull.h"
#include "region/line.h"
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
  Json values = Json::array(), names = Json::array();
  for (const std::size_t i : order) names.push_back(model_label(models.models[i]));
  for (std::size_t i = 0; i < order.size(); ++i)
    for (std::size_t j = 0; j < order.size(); ++j)
      values.push_back({{"a", names[i]},
                        {"b", names[j]},
                        {"cosine", rounded(vectors.all().cosine(order[i], order[j]))}});
  const auto place = [&](const char* field) {
    Json axis = nominal(field, "");
    axis["sort"] = names;
    axis["axis"] = {{"labelFontSize", 8}};
    return axis;
  };
  Json spec = {
      {"data", {{"values", values}}},
      {"mark", "rect"},
      {"width", 480},
      {"height", 480},
      {"encoding",
       {{"x", place("a")},
        {"y", place("b")},
        {"color",
         {{"field", "cosine"}, {"type", "quantitative"}, {"scale", {{"scheme", "viridis"}}}}}}}};
  return {.name = "cosines",
          .caption =
              "Cosines of what fine-tuning added to the weights, ordered by family and "
              "corpus: squares along the diagonal are corpora whose models agree.",
          .spec = report::top_level(std::move(spec), "heat map of cosines between models")};
}

report::Figure map_figure(const RegionModels& models, const RegionVectors& vectors) {
  const std::size_t n = models.models.size();
  std::vector<double> squares;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      squares.push_back(vectors.all().squares[i * vectors.all().models() + j]);
  const PlaneMap map = plane_map(squares, n);
  Json values = Json::array();
  for (std::size_t i = 0; i < n; ++i)
    values.push_back({{"x", rounded(map.x[i])},
                      {"y", rounded(map.y[i])},
                      {"corpus", models.models[i].corpus},
                      {"family", models.family.at(models.models[i].corpus)}});
  Json spec = {{"data", {{"values", values}}},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}}},
               {"width", 480},
               {"height", 400},
               {"encoding",
                {{"x", report::axis("x", "first axis", false)},
                 {"y", report::axis("y", "second axis", false)},
                 {"color", nominal("corpus", "corpus")},
                 {"shape", nominal("family", "family")}}}};
  return {.name = "map",
          .caption = fmt::format("Distances between models in two dimensions, which hold {:.0f} % "
                                 "of the variance.",
                                 100 * map.share),
          .spec = report::top_level(std::move(spec), "models in the plane")};
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
  std::vector<std::string> names;
  for (const std::size_t corner : corners) names.push_back(models.models[corner].corpus);
  Json values = Json::array();
  const std::vector<std::vector<double>> grid =
      corners.empty() ? std::vector<std::vector<double>>() : region::triangle_weights(10);
  for (std::size_t i = 0; i < grid.size(); ++i) {
    double loss = 0;
    for (const std::string& corpus : names)
      loss += losses.at(triangle_point(i), corpus) / static_cast<double>(names.size());
    values.push_back({{"x", rounded(grid[i][1] + grid[i][2] / 2)},
                      {"y", rounded(grid[i][2] * std::sqrt(3) / 2)},
                      {"loss", rounded(loss)}});
  }
  Json bare = {{"type", "quantitative"}, {"axis", nullptr}, {"scale", {{"nice", false}}}};
  Json x = bare, y = bare;
  x["field"] = "x";
  y["field"] = "y";
  Json spec = {{"data", {{"values", values}}},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 500}}},
               {"width", 420},
               {"height", 360},
               {"encoding",
                {{"x", x},
                 {"y", y},
                 {"color",
                  {{"field", "loss"},
                   {"type", "quantitative"},
                   {"title", "mean loss (nats)"},
                   {"scale", {{"scheme", "viridis"}, {"reverse", true}}}}}}}};
  return {.name = "triangle",
          .caption = fmt::format("Mean loss over three corpora between a model of each: {} (left "
                                 "to right, then top).",
                                 fmt::join(names, ", ")),
          .spec = report::top_level(std::move(spec), "losses between three models")};
}

}  // namespace ration::study
