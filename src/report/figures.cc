#include "report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "report/vega.h"

namespace ration::report {
namespace {

std::vector<double> log_grid(double low, double high, int points) {
  std::vector<double> grid;
  for (int i = 0; i < points; ++i)
    grid.push_back(low * std::pow(high / low, static_cast<double>(i) / (points - 1)));
  return grid;
}

std::string size_label(Params params) { return format_quantity(params.value) + " parameters"; }

Json marked_point(const plan::Allocation& allocation, const std::string& name) {
  return {{"epochs", rounded(allocation.epochs.value)},
          {"loss", rounded(allocation.loss.value)},
          {"plan",
           fmt::format("{}: {}, {} epochs",
                       name,
                       size_label(Params(allocation.params.value)),
                       format_quantity(allocation.epochs.value, ""))}};
}

void add_interval(Json& row, const plan::Amount& loss) {
  if (loss.low) row["low"] = rounded(*loss.low);
  if (loss.high) row["high"] = rounded(*loss.high);
}

// The interval of rows with `low` and `high`.
Json band(const Json& rows, const Json& x, Json y) {
  y["field"] = "low";
  return {{"data", {{"values", rows}}},
          {"mark", {{"type", "area"}, {"opacity", 0.2}}},
          {"encoding", {{"x", x}, {"y", y}, {"y2", {{"field", "high"}}}}}};
}

fit::Points points_of(std::span<const fit::Observation> runs) {
  fit::Points points;
  for (const fit::Observation& run : runs) points.add(run.params, run.tokens, run.unique);
  return points;
}

Json measured_rows(std::span<const fit::Observation> runs) {
  Json rows = Json::array();
  for (const fit::Observation& run : runs)
    rows.push_back({{"epochs", rounded(run.tokens / run.unique)},
                    {"loss", rounded(run.loss.value)},
                    {"unique", run.unique.value},
                    {"panel", format_quantity(run.unique.value, "tok") + " unique"},
                    {"size", size_label(run.params)},
                    {"params", run.params.value}});
  return rows;
}

// The law along each (unique tokens, size) that was measured, over the epochs measured there.
Json law_rows(const fit::Fit& fit, std::span<const fit::Observation> runs) {
  struct Range {
    double low = 1e300, high = 0;
  };
  std::map<std::pair<double, double>, Range> lines;
  for (const fit::Observation& run : runs) {
    Range& range = lines[{run.unique.value, run.params.value}];
    range.low = std::min(range.low, run.tokens / run.unique);
    range.high = std::max(range.high, run.tokens / run.unique);
  }
  constexpr int kPointsALine = 40;
  Json rows = Json::array();
  for (const auto& [key, range] : lines) {
    if (range.high <= range.low) continue;
    const auto& [unique, params] = key;
    fit::Points points;
    const std::vector<double> epochs = log_grid(range.low, range.high, kPointsALine);
    for (const double e : epochs) points.add(Params(params), Tokens(e * unique), Tokens(unique));
    const std::vector<fit::Prediction> predicted = fit::predict(fit, points);
    for (std::size_t i = 0; i < epochs.size(); ++i)
      rows.push_back({{"epochs", rounded(epochs[i])},
                      {"predicted", rounded(predicted[i].value)},
                      {"panel", format_quantity(unique, "tok") + " unique"},
                      {"size", size_label(Params(params))}});
  }
  return rows;
}

// Labels in the order of the numbers that they stand for.
template <class Number, class Label>
Json sorted_labels(std::span<const fit::Observation> runs, Number number, Label label) {
  std::map<double, std::string> ordered;
  for (const fit::Observation& run : runs) ordered[number(run)] = label(run);
  Json labels = Json::array();
  for (const auto& [value, text] : ordered) labels.push_back(text);
  return labels;
}

}  // namespace

Figure budget_figure(const fit::Fit& fit, const plan::Plan& plan) {
  const double best = plan.best.params.value, base = plan.baseline.params.value;
  const double factor = 6 * std::max(best / base, base / best);
  Json curve = Json::array();
  for (const plan::Allocation& a : plan::trace(fit, plan.request, best, factor)) {
    Json row = {{"epochs", rounded(a.epochs.value)},
                {"loss", rounded(a.loss.value)},
                {"params", rounded(a.params.value)}};
    add_interval(row, a.loss);
    curve.push_back(std::move(row));
  }
  const Json x =
      axis("epochs", "epochs over the unique tokens (the limits then fix the model size)", true);
  const Json y = axis("loss", "predicted held-out loss (nats a token)", false);
  const Json marks = {marked_point(plan.best, "recommended"),
                      marked_point(plan.baseline, "without the cost of repetition")};
  Json layers = {band(curve, x, y),
                 line(curve, x, y),
                 {{"data", {{"values", marks}}},
                  {"mark", {{"type", "point"}, {"filled", true}, {"size", 140}, {"opacity", 1}}},
                  {"encoding",
                   {{"x", x},
                    {"y", y},
                    {"color",
                     {{"field", "plan"},
                      {"type", "nominal"},
                      {"sort", {marks[0]["plan"], marks[1]["plan"]}},
                      {"scale", {{"range", {"#c1121f", "#6c757d"}}}},
                      {"legend",
                       {{"title", nullptr},
                        {"orient", "top"},
                        {"labelLimit", 600},
                        {"labelFontSize", 12},
                        {"columns", 1}}}}}}}}};
  Json spec = top_level({{"width", 620}, {"height", 340}, {"layer", layers}},
                        "Predicted loss against epochs at a fixed compute budget");
  return {.name = "loss-against-epochs",
          .caption = fmt::format(
              "Predicted loss with {} and {} unique tokens; the band is the {:.0f} % interval.",
              format_quantity(plan.flops, "flop"),
              format_quantity(plan.request.unique.value, ""),
              100 * fit.interval),
          .spec = std::move(spec)};
}

Figure epochs_figure(const fit::Fit& fit, const plan::Repetition& repetition) {
  Json rows = Json::array();
  for (const plan::EpochRow& row : repetition.rows) {
    Json point = {{"epochs", rounded(row.epochs)},
                  {"loss", rounded(row.loss.value)},
                  {"worth", rounded(row.worth)}};
    add_interval(point, row.loss);
    rows.push_back(std::move(point));
  }
  const Json x = axis("epochs", "epochs", true);
  const Json loss = axis("loss", "predicted held-out loss (nats a token)", false);
  const Json worth = axis("worth", "worth of a repeated token (fresh = 1)", false);
  const auto panel = [](Json layers) {
    return Json{{"width", 300}, {"height", 260}, {"layer", std::move(layers)}};
  };
  Json spec = top_level({{"hconcat",
                          {panel({band(rows, x, loss), line(rows, x, loss)}),
                           panel(Json::array({line(rows, x, worth)}))}}},
                        "What each epoch buys");
  return {.name = "what-epochs-buy",
          .caption = fmt::format("What repeating buys {}: the loss with its {:.0f} % interval, and "
                                 "what the next repeated token is worth in fresh ones.",
                                 size_label(Params(repetition.params)),
                                 100 * fit.interval),
          .spec = std::move(spec)};
}

Figure frontier_figure(const fit::Fit& fit, std::span<const plan::FrontierPoint> points) {
  Json losses = Json::array(), epochs = Json::array();
  for (const plan::FrontierPoint& point : points) {
    Json row = {{"budget", rounded(point.budget.value)},
                {"loss", rounded(point.best.loss.value)},
                {"epochs", rounded(point.best.epochs.value)}};
    Json other = row;
    add_interval(row, point.best.loss);
    add_interval(other, point.best.epochs);
    losses.push_back(std::move(row));
    epochs.push_back(std::move(other));
  }
  Json x = axis("budget", "compute (FLOPs)", true);
  x["axis"]["format"] = ".0e";
  const Json loss = axis("loss", "least predicted loss (nats a token)", false);
  const Json epoch = axis("epochs", "epochs over the unique tokens", true);
  const auto panel = [](Json layers) {
    return Json{{"width", 300}, {"height", 260}, {"layer", std::move(layers)}};
  };
  Json spec = top_level({{"hconcat",
                          {panel({band(losses, x, loss), line(losses, x, loss)}),
                           panel({band(epochs, x, epoch), line(epochs, x, epoch)})}}},
                        "The least loss over compute, and the epochs that reach it");
  return {.name = "frontier",
          .caption = fmt::format("The least loss that each budget buys and the epochs it takes; "
                                 "the bands are {:.0f} % intervals.",
                                 100 * fit.interval),
          .spec = std::move(spec)};
}

Figure runs_figure(const fit::Fit& fit, std::span<const fit::Observation> runs) {
  const Json sizes = sorted_labels(
      runs,
      [](const auto& run) { return run.params.value; },
      [](const auto& run) { return size_label(run.params); });
  const Json panels = sorted_labels(
      runs,
      [](const auto& run) { return run.unique.value; },
      [](const auto& run) { return format_quantity(run.unique.value, "tok") + " unique"; });
  const Json x = axis("epochs", "epochs", true);
  const Json color = {{"field", "size"},
                      {"type", "ordinal"},
                      {"sort", sizes},
                      {"title", "model size"},
                      {"scale", {{"scheme", "viridis"}}}};
  Json rows = measured_rows(runs);
  for (const Json& row : law_rows(fit, runs)) rows.push_back(row);
  const Json layers = {
      {{"transform", {{{"filter", "isValid(datum.loss)"}}}},
       {"mark", {{"type", "point"}, {"filled", true}, {"size", 45}, {"opacity", 0.8}}},
       {"encoding",
        {{"x", x}, {"y", axis("loss", "held-out loss (nats a token)", false)}, {"color", color}}}},
      {{"transform", {{{"filter", "isValid(datum.predicted)"}}}},
       {"mark", {{"type", "line"}, {"strokeWidth", 1.5}}},
       {"encoding",
        {{"x", x},
         {"y", axis("predicted", "held-out loss (nats a token)", false)},
         {"color", color}}}}};
  const Json facet = {
      {"field", "panel"}, {"type", "ordinal"}, {"sort", panels}, {"title", nullptr}};
  constexpr std::size_t kPanelsARow = 3;
  Json spec = top_level({{"data", {{"values", rows}}},
                         {"facet", facet},
                         {"columns", std::min(kPanelsARow, panels.size())},
                         {"spec", {{"width", 220}, {"height", 220}, {"layer", layers}}}},
                        "Measured losses and the fitted law");
  return {.name = "runs-and-law",
          .caption =
              "Every run (points) and the fitted law (lines): loss against epochs for each amount "
              "of unique text.",
          .spec = std::move(spec)};
}

Figure residuals_figure(const fit::Fit& fit, std::span<const fit::Observation> runs) {
  const std::vector<fit::Prediction> predicted = fit::predict(fit, points_of(runs));
  Json rows = Json::array();
  for (std::size_t i = 0; i < runs.size(); ++i)
    rows.push_back({{"predicted", rounded(predicted[i].value)},
                    {"residual", rounded(100 * std::log(runs[i].loss.value / predicted[i].value))},
                    {"epochs", rounded(runs[i].tokens / runs[i].unique)}});
  const Json color = {{"field", "epochs"},
                      {"type", "quantitative"},
                      {"title", "epochs"},
                      {"scale", {{"type", "log"}, {"scheme", "viridis"}}}};
  const Json points = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 45}}},
                       {"encoding",
                        {{"x", axis("predicted", "predicted loss (nats a token)", false)},
                         {"y", axis("residual", "measured above predicted (%)", false)},
                         {"color", color}}}};
  const Json zero = {{"mark", {{"type", "rule"}, {"strokeDash", {4, 4}}}},
                     {"encoding", {{"y", {{"datum", 0}}}}}};
  Json spec = top_level(
      {{"width", 620}, {"height", 220}, {"data", {{"values", rows}}}, {"layer", {zero, points}}},
      "Residuals of the fit");
  return {.name = "residuals",
          .caption =
              "What the law leaves over, in per cent of the loss; a trend in colour or along the "
              "axis means that the law does not hold.",
          .spec = std::move(spec)};
}

}  // namespace ration::report
