#include "report/model_figures.h"

#include <algorithm>
#include <cmath>

#include "report/vega.h"

namespace ration::report {
namespace {

Json nominal(const char* field, const std::string& title) {
  return {{"field", field}, {"type", "nominal"}, {"title", title}, {"sort", nullptr}};
}

Json quantity(const char* field, const std::string& title) {
  return {{"field", field}, {"type", "quantitative"}, {"title", title}};
}

// Barycentric coordinates on a plane: left, right, top.
double across(const std::vector<double>& weights) { return weights[1] + weights[2] / 2; }
double up(const std::vector<double>& weights) { return weights[2] * std::sqrt(3.0) / 2; }

Json bare_axis(const char* field) {
  return {{"field", field},
          {"type", "quantitative"},
          {"axis", nullptr},
          {"scale", {{"domain", {-0.1, 1.1}}}}};
}

Json corner_names(const std::vector<std::string>& corners) {
  Json rows = Json::array();
  for (std::size_t corner = 0; corner < corners.size(); ++corner) {
    std::vector<double> unit(3);
    unit[corner] = 1;
    rows.push_back({{"x", across(unit)},
                    {"y", up(unit) + (corner == 2 ? 0.07 : -0.07)},
                    {"model", corners[corner]}});
  }
  return {
      {"data", {{"values", rows}}},
      {"mark", {{"type", "text"}, {"fontSize", 12}}},
      {"encoding", {{"x", bare_axis("x")}, {"y", bare_axis("y")}, {"text", nominal("model", "")}}}};
}

}  // namespace

Figure matrix_figure(const Matrix& matrix) {
  const std::size_t n = matrix.models.size();
  Json rows = Json::array();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      rows.push_back({{"a", matrix.models[j]},
                      {"b", matrix.models[i]},
                      {"value", rounded(matrix.values[i * n + j])}});
  const int side = static_cast<int>(std::clamp<std::size_t>(n * 24, 160, 480));
  const auto place = [&](const char* field) {
    Json axis = nominal(field, "");
    axis["sort"] = matrix.models;  // as given, also where the first cells are blank
    axis["axis"] = {{"labelFontSize", n > 12 ? 8 : 11}};
    return axis;
  };
  Json colour = quantity("value", matrix.quantity);
  colour["scale"] = {{"scheme", "viridis"}};
  Json spec = {{"data", {{"values", rows}}},
               {"mark", {{"type", "rect"}, {"tooltip", true}}},
               {"width", side},
               {"height", side},
               {"encoding", {{"x", place("a")}, {"y", place("b")}, {"color", colour}}}};
  return {.name = matrix.name,
          .caption = matrix.caption,
          .spec = top_level(std::move(spec), "heat map of models by models")};
}

Figure plane_figure(const Plane& plane) {
  Json rows = Json::array();
  for (const PlanePoint& point : plane.points)
    rows.push_back({{"x", rounded(point.x)},
                    {"y", rounded(point.y)},
                    {"model", point.model},
                    {"colour", point.colour},
                    {"shape", point.shape}});
  Json encoding = {{"x", axis("x", "first axis", false)}, {"y", axis("y", "second axis", false)}};
  for (const char* place : {"x", "y"}) encoding[place]["scale"]["padding"] = 16;  // pixels
  if (!plane.colour.empty()) encoding["color"] = nominal("colour", plane.colour);
  if (!plane.shape.empty()) encoding["shape"] = nominal("shape", plane.shape);
  encoding["tooltip"] = Json::array({nominal("model", "model")});
  Json spec = {{"data", {{"values", rows}}},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}}},
               {"width", 480},
               {"height", 400},
               {"encoding", encoding}};
  return {.name = plane.name,
          .caption = plane.caption,
          .spec = top_level(std::move(spec), "models in the plane")};
}

Figure triangle_figure(const Triangle& triangle) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < triangle.weights.size(); ++i)
    rows.push_back({{"x", rounded(across(triangle.weights[i]))},
                    {"y", rounded(up(triangle.weights[i]))},
                    {"loss", rounded(triangle.losses[i])}});
  Json colour = quantity("loss", triangle.quantity);
  colour["scale"] = {{"scheme", "viridis"}, {"reverse", true}, {"zero", false}};
  const Json points = {
      {"data", {{"values", rows}}},
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 500}, {"opacity", 1}}},
      {"encoding", {{"x", bare_axis("x")}, {"y", bare_axis("y")}, {"color", colour}}}};
  return {.name = triangle.name,
          .caption = triangle.caption,
          .spec = top_level({{"width", 420},
                             {"height", 420},
                             {"layer", Json::array({points, corner_names(triangle.corners)})}},
                            "losses over a triangle in weight space")};
}

std::string figure_name(const std::string& text) {
  std::string name;
  for (const char c : text)
    name += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '-';
  return name;
}

}  // namespace ration::report
