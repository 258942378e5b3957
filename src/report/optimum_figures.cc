#include "report/optimum_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "fit/interpolant.h"
#include "report/vega.h"

namespace ration::report {
namespace {

constexpr int kPointsALine = 60;

Json flops_axis(const char* title) {
  Json x = axis("flops", title, true);
  x["axis"]["format"] = ".0e";
  return x;
}

Json params_axis(const char* field) {
  Json y = axis(field, "parameters", true);
  y["axis"]["format"] = ".1s";
  return y;
}

// The line and its interval over a range of compute, a little beyond what it was fitted to.
Json line_layers(const fit::OptimumLine& line) {
  constexpr double kBeyond = 2;
  const double low = std::log(line.flops.low / kBeyond), high = std::log(line.flops.high * kBeyond);
  Json rows = Json::array();
  for (int i = 0; i < kPointsALine; ++i) {
    const fit::BudgetOptimum best =
        line.at(Flops(std::exp(std::lerp(low, high, i / (kPointsALine - 1.0)))));
    Json row = {{"flops", rounded(best.budget.value)}, {"params", rounded(best.params.value)}};
    if (best.params.low) row["low"] = rounded(*best.params.low);
    if (best.params.high) row["high"] = rounded(*best.params.high);
    rows.push_back(std::move(row));
  }
  const Json x = flops_axis("compute (FLOPs)");
  const Json area = {
      {"data", {{"values", rows}}},
      {"mark", {{"type", "area"}, {"opacity", 0.2}}},
      {"encoding", {{"x", x}, {"y", params_axis("low")}, {"y2", {{"field", "high"}}}}}};
  return {area, ration::report::line(rows, x, params_axis("params"))};
}

std::string level_label(const fit::IsoflopLevel& level) {
  return format_quantity(level.flops.value, "flop");
}

// Colours by compute; `labels` ascend.
Json level_color(const Json& labels) {
  return {{"field", "level"},
          {"type", "ordinal"},
          {"sort", labels},
          {"title", "compute"},
          {"scale", {{"scheme", "viridis"}}}};
}

// The curve that was fitted to a level, over its sizes.
Json curve_rows(const fit::Isoflop& found, const fit::IsoflopLevel& level) {
  std::vector<double> sizes, sums, counts;
  for (std::size_t i = 0; i < level.runs.size(); ++i) {
    const double size = std::log(level.runs[i].params.value);
    if (sizes.empty() || size != sizes.back()) {
      sizes.push_back(size);
      sums.push_back(0);
      counts.push_back(0);
    }
    sums.back() += level.runs[i].weight * std::log(level.losses[i]);
    counts.back() += level.runs[i].weight;
  }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] /= counts[i];
  const bool parabola = found.curve == fit::ProfileCurve::parabola;
  Json rows = Json::array();
  if (!parabola && sizes.size() < fit::Interpolant::kLeast) return rows;
  const auto interpolant = parabola ? std::nullopt : std::optional<fit::Interpolant>({sizes, sums});
  for (int i = 0; i < kPointsALine; ++i) {
    const double x = std::lerp(sizes.front(), sizes.back(), i / (kPointsALine - 1.0));
    rows.push_back(
        {{"params", rounded(std::exp(x))},
         {"loss", rounded(parabola ? level.parabola.loss(x) : std::exp((*interpolant)(x)))},
         {"level", level_label(level)}});
  }
  return rows;
}

std::string with_interval(const fit::Prediction& p, const char* unit) {
  if (!p.low || !p.high) return format_quantity(p.value, unit);
  return fmt::format("{} ({} to {})",
                     format_quantity(p.value, unit),
                     format_quantity(*p.low, unit),
                     format_quantity(*p.high, unit));
}

// What both pages say of the line, and of their doubts.
template <class Found>
void add_words(const Found& found, Section& section) {
  if (found.line) {
    const fit::Prediction p = found.line->exponent();
    section.paragraphs.push_back(fmt::format(
        "N_opt = k C^p with p = {:.4g}{}; D_opt = C / (6 N_opt). In brackets the {:.0f} % "
        "interval.",
        p.value,
        p.low ? fmt::format(" ({:.4g} to {:.4g})", *p.low, *p.high) : "",
        100 * found.interval));
    Table table{.header = {"compute", "parameters", "tokens"}};
    for (const double flops : {found.line->flops.low, found.line->flops.high}) {
      const fit::BudgetOptimum best = found.line->at(Flops(flops));
      table.rows.push_back({format_quantity(flops, "flop"),
                            with_interval(best.params, ""),
                            with_interval(best.tokens, "tok")});
    }
    section.tables.push_back(std::move(table));
  }
  for (const fit::Doubt& doubt : found.doubts)
    section.paragraphs.push_back(fmt::format("Doubt ({}): {}", doubt.subject, doubt.what));
}

}  // namespace

Figure profiles_figure(const fit::Isoflop& found) {
  Json points = Json::array(), curves = Json::array(), vertices = Json::array();
  Json labels = Json::array();
  for (const fit::IsoflopLevel& level : found.levels) {
    constexpr int kProfile = 3;  // fewer sizes make no profile
    if (level.sizes < kProfile) continue;
    labels.push_back(level_label(level));
    for (std::size_t i = 0; i < level.runs.size(); ++i)
      points.push_back({{"params", rounded(level.runs[i].params.value)},
                        {"loss", rounded(level.losses[i])},
                        {"level", level_label(level)}});
    for (Json& row : curve_rows(found, level)) curves.push_back(std::move(row));
    if (level.rejected.empty())
      vertices.push_back({{"params", rounded(level.vertex.value)},
                          {"loss", rounded(level.least.value)},
                          {"level", level_label(level)}});
  }
  const Json encoding = {{"x", params_axis("params")},
                         {"y", axis("loss", "held-out loss (nats a token)", false)},
                         {"color", level_color(labels)}};
  const auto layer = [&](Json rows, Json mark) {
    return Json{
        {"data", {{"values", std::move(rows)}}}, {"mark", std::move(mark)}, {"encoding", encoding}};
  };
  const Json layers = {
      layer(points, {{"type", "point"}, {"filled", true}, {"size", 30}, {"opacity", 0.8}}),
      layer(curves, {{"type", "line"}, {"strokeWidth", 1.5}}),
      layer(vertices,
            {{"type", "point"}, {"shape", "diamond"}, {"size", 120}, {"strokeWidth", 2}})};
  return {.name = "isoflop-profiles",
          .caption =
              fmt::format("The loss against model size at each level of compute, the {} through "
                          "each, and its lowest place (diamonds).",
                          found.curve == fit::ProfileCurve::parabola ? "parabola" : "interpolant"),
          .spec = top_level({{"width", 620}, {"height", 380}, {"layer", layers}},
                            "Loss against model size at equal compute")};
}

Figure vertices_figure(const fit::Isoflop& found) {
  Json rows = Json::array();
  for (const fit::IsoflopLevel& level : found.levels)
    if (level.rejected.empty())
      rows.push_back({{"flops", rounded(level.flops.value)},
                      {"params", rounded(level.vertex.value)},
                      {"below", rounded(level.vertex.value * std::exp(-level.error))},
                      {"above", rounded(level.vertex.value * std::exp(level.error))}});
  const Json x = flops_axis("compute (FLOPs)");
  Json layers = found.line ? line_layers(*found.line) : Json::array();
  layers.push_back(
      {{"data", {{"values", rows}}},
       {"mark", {{"type", "rule"}}},
       {"encoding", {{"x", x}, {"y", params_axis("below")}, {"y2", {{"field", "above"}}}}}});
  layers.push_back({{"data", {{"values", rows}}},
                    {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 1}}},
                    {"encoding", {{"x", x}, {"y", params_axis("params")}}}});
  return {
      .name = "isoflop-line",
      .caption = fmt::format("The lowest places of the profiles with their errors, and the line "
                             "through them with its {:.0f} % interval.",
                             100 * found.interval),
      .spec = top_level({{"width", 620}, {"height", 300}, {"layer", layers}},
                        "The best model size against compute")};
}

Figure envelope_figure(const fit::Envelope& found) {
  Json points = Json::array();
  for (const fit::EnvelopePoint& point : found.points)
    points.push_back({{"flops", rounded(point.flops.value)},
                      {"loss", rounded(point.loss.value)},
                      {"params", rounded(point.params.value)},
                      {"winner", point.edge ? "discarded: least or most parameters" : "counts"}});
  const Json x = flops_axis("compute (FLOPs)");
  const Json color = {{"field", "winner"},
                      {"type", "nominal"},
                      {"sort", {"counts", "discarded: least or most parameters"}},
                      {"scale", {{"range", {"#1d3557", "#adb5bd"}}}},
                      {"legend", {{"title", nullptr}, {"orient", "top"}, {"labelLimit", 400}}}};
  const auto marks = [&](const Json& y) {
    return Json{{"data", {{"values", points}}},
                {"mark", {{"type", "point"}, {"filled", true}, {"size", 14}, {"opacity", 1}}},
                {"encoding", {{"x", x}, {"y", y}, {"color", color}}}};
  };
  Json sizes = found.line ? line_layers(*found.line) : Json::array();
  sizes.push_back(marks(params_axis("params")));
  const Json spec = {
      {"hconcat",
       {{{"width", 300},
         {"height", 280},
         {"layer",
          Json::array({marks(axis("loss", "least held-out loss (nats a token)", false))})}},
        {{"width", 300}, {"height", 280}, {"layer", sizes}}}}};
  return {
      .name = "envelope",
      .caption = fmt::format("The least loss of all training curves at each compute, the size that "
                             "reached it, and the line through these with its {:.0f} % interval.",
                             100 * found.interval),
      .spec = top_level(spec, "The envelope of training curves")};
}

Page isoflop_page(const fit::Isoflop& found) {
  Section section{.title = fmt::format("IsoFLOP profiles of {} runs from {}",
                                       found.runs,
                                       found.source.empty() ? "a table" : found.source)};
  add_words(found, section);
  section.figures = {profiles_figure(found), vertices_figure(found)};
  return {.title = "The best model size by isoFLOP profiles", .sections = {std::move(section)}};
}

Page envelope_page(const fit::Envelope& found) {
  Section section{.title = fmt::format("The envelope of {} training curves from {}",
                                       found.curves,
                                       found.source.empty() ? "a table" : found.source)};
  add_words(found, section);
  section.figures = {envelope_figure(found)};
  return {.title = "The best model size by training curves", .sections = {std::move(section)}};
}

}  // namespace ration::report
