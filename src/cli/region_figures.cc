#include "cli/region_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/vega.h"

namespace ration::cli {
namespace {

using report::axis;
using report::rounded;

// Letters, digits and '-'.
std::string file_word(const std::string& text) {
  std::string word;
  for (const char c : text)
    word += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '-';
  return word;
}

Json colour(const char* field, const char* title) {
  return {{"field", field}, {"type", "nominal"}, {"title", title}, {"sort", nullptr}};
}

Json end_marks() {
  return {{"data", {{"values", Json::array({{{"alpha", 0}}, {{"alpha", 1}}})}}},
          {"mark", {{"type", "rule"}, {"strokeDash", {4, 4}}, {"color", "gray"}}},
          {"encoding", {{"x", axis("alpha", "alpha", false)}}}};
}

Json line_spec(const Json& rows, bool all) {
  const Json y = axis("loss", "held-out loss (nats a token)", all);
  Json layer = report::line(rows, axis("alpha", "alpha", false), y);
  layer["mark"]["point"] = true;
  layer["encoding"]["color"] = colour("corpus", "corpus");
  return report::top_level(
      {{"width", 560}, {"height", 320}, {"layer", Json::array({end_marks(), layer})}},
      "Held-out loss along the line through two models");
}

// Barycentric coordinates on a plane.
double across(const std::vector<double>& weights) { return weights[1] + weights[2] / 2; }
double up(const std::vector<double>& weights) { return weights[2] * std::sqrt(3.0) / 2; }

}  // namespace

std::vector<report::Figure> line_figures(std::span<const double> alphas,
                                         const std::vector<std::string>& corpora,
                                         const std::vector<std::vector<double>>& losses) {
  Json near = Json::array(), all = Json::array();
  for (std::size_t c = 0; c < corpora.size(); ++c)
    for (std::size_t i = 0; i < alphas.size(); ++i) {
      const Json row = {
          {"alpha", alphas[i]}, {"loss", rounded(losses[c][i])}, {"corpus", corpora[c]}};
      all.push_back(row);
      if (alphas[i] >= -0.25 && alphas[i] <= 1.25) near.push_back(row);
    }
  return {{.name = "line",
           .caption = "Between the models (alpha 0 to 1) and a little beyond: where a line rises "
                      "above the straight line from mark to mark, it crosses a barrier.",
           .spec = line_spec(near, false)},
          {.name = "line-all",
           .caption = "The whole line, the loss on a logarithmic axis; a gap has no finite loss.",
           .spec = line_spec(all, true)}};
}

report::Figure hull_figure(const HullLosses& losses) {
  Json rows = Json::array();
  const auto add = [&](const char* kind, double loss) {
    rows.push_back({{"kind", kind}, {"loss", rounded(loss)}});
  };
  for (const double loss : losses.members) add("members", loss);
  for (const double loss : losses.samples) add("points of the hull", loss);
  add("centroid", losses.centroid);
  Json spec = {
      {"width", 560},
      {"height", 120},
      {"data", {{"values", rows}}},
      {"mark", {{"type", "tick"}, {"thickness", 2}}},
      {"encoding",
       {{"x", axis("loss", "held-out loss (nats a token)", false)},
        {"y", {{"field", "kind"}, {"type", "nominal"}, {"title", nullptr}, {"sort", nullptr}}},
        {"color", colour("kind", "")}}}};
  spec["encoding"]["color"]["legend"] = nullptr;
  return {.name = "hull-" + file_word(losses.corpus),
          .caption = fmt::format("Losses on {}: members, points drawn from their hull, and the "
                                 "centroid.",
                                 losses.corpus),
          .spec = report::top_level(std::move(spec), "Held-out losses within a convex hull")};
}

report::Figure triangle_figure(const std::string& corpus,
                               const std::vector<std::vector<double>>& weights,
                               std::span<const double> losses,
                               const std::vector<std::string>& models) {
  Json rows = Json::array(), corners = Json::array();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    rows.push_back({{"x", rounded(across(weights[i]))},
                    {"y", rounded(up(weights[i]))},
                    {"loss", rounded(losses[i])}});
    for (std::size_t m = 0; m < 3; ++m)
      if (weights[i][m] == 1)
        corners.push_back({{"x", across(weights[i])},
                           {"y", up(weights[i]) + (m == 2 ? 0.07 : -0.07)},
                           {"model", models[m]}});
  }
  const auto place = [](const char* field) -> Json {
    return {{"field", field},
            {"type", "quantitative"},
            {"axis", nullptr},
            {"scale", {{"domain", {-0.1, 1.1}}}}};
  };
  const Json points = {
      {"data", {{"values", rows}}},
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 500}, {"opacity", 1}}},
      {"encoding",
       {{"x", place("x")},
        {"y", place("y")},
        {"color",
         {{"field", "loss"},
          {"type", "quantitative"},
          {"title", "loss"},
          {"scale", {{"scheme", "viridis"}, {"reverse", true}, {"zero", false}}}}}}}};
  const Json names = {{"data", {{"values", corners}}},
                      {"mark", {{"type", "text"}, {"fontSize", 12}}},
                      {"encoding",
                       {{"x", place("x")},
                        {"y", place("y")},
                        {"text", {{"field", "model"}, {"type", "nominal"}}}}}};
  return {.name = "triangle-" + file_word(corpus),
          .caption = fmt::format("Losses on {} over the triangle of three models; each corner is "
                                 "one of them.",
                                 corpus),
          .spec = report::top_level(
              {{"width", 420}, {"height", 420}, {"layer", Json::array({points, names})}},
              "Held-out loss over a triangle in weight space")};
}

}  // namespace ration::cli
