#include "cli/region_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/model_figures.h"
#include "report/vega.h"

namespace ration::cli {
namespace {

using report::axis;
using report::rounded;

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

report::Figure excess_figure(const std::vector<std::string>& corpora,
                             const std::vector<region::LineIntervals>& intervals) {
  Json rows = Json::array();
  for (std::size_t c = 0; c < corpora.size(); ++c) {
    const region::LineIntervals& found = intervals[c];
    const auto add = [&](double alpha, double excess, const region::Interval& in) {
      rows.push_back({{"alpha", alpha},
                      {"excess", rounded(excess)},
                      {"low", rounded(in.low)},
                      {"high", rounded(in.high)},
                      {"corpus", corpora[c]}});
    };
    if (found.alphas.empty()) continue;
    add(0, 0, {0, 0});  // the ends lie on the straight line
    for (std::size_t i = 0; i < found.alphas.size(); ++i)
      add(found.alphas[i], found.excess[i], found.excess_in[i]);
    add(1, 0, {0, 0});
  }
  const Json alpha = axis("alpha", "alpha", false);
  Json curve = report::line(rows, alpha, axis("excess", "excess loss (nats a token)", false));
  curve["mark"]["point"] = true;
  curve["encoding"]["color"] = colour("corpus", "corpus");
  Json band = report::line(rows, alpha, axis("low", "excess loss (nats a token)", false));
  band["mark"] = {{"type", "area"}, {"opacity", 0.25}};
  band["encoding"]["y2"] = {{"field", "high"}};
  band["encoding"]["color"] = colour("corpus", "corpus");
  const Json zero = {{"data", {{"values", Json::array({{{"excess", 0}}})}}},
                     {"mark", {{"type", "rule"}, {"color", "gray"}}},
                     {"encoding", {{"y", axis("excess", "excess loss (nats a token)", false)}}}};
  return {.name = "excess",
          .caption =
              "Loss between the models above the straight line from the one loss to the "
              "other; its highest point above 0 is the barrier. The bands hold at all "
              "alphas at once.",
          .spec = report::top_level(
              {{"width", 560}, {"height", 280}, {"layer", Json::array({zero, band, curve})}},
              "excess loss between two models")};
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
  return {.name = "hull-" + report::figure_name(losses.corpus),
          .caption = fmt::format("Losses on {}: members, points drawn from their hull, and the "
                                 "centroid.",
                                 losses.corpus),
          .spec = report::top_level(std::move(spec), "Held-out losses within a convex hull")};
}

}  // namespace ration::cli
